import { useEffect, useState } from 'preact/hooks';
import { ApiError } from './api/client.ts';
import { errorWords } from './api/error-words.ts';
import { t } from './i18n/language.ts';
import { Activity } from './pages/activity.tsx';
import { LetterPage } from './pages/letters/letter.tsx';
import { DeadLetters } from './pages/letters/letters.tsx';
import { Overview } from './pages/overview/overview.tsx';
import { Settings } from './pages/settings.tsx';
import { Users } from './pages/users/users.tsx';
import { Gate } from './shell/gate.tsx';
import { Shell } from './shell/shell.tsx';
import { link, route } from './state/route.ts';
import { findSession, session } from './state/session.ts';
import { Callout, Empty, Loading } from './ui/states.tsx';

const RETRY_MS = 2_000;

export function App() {
  const viewer = session.value;
  if (viewer === undefined) return <Opening />;
  if (viewer === null) return <Gate />;
  return (
    <Shell>
      <Page />
    </Shell>
  );
}

function Page() {
  const [page, id] = route.value.path;
  switch (page) {
    case undefined:
      return <Overview />;
    case 'dead-letters':
      return id === undefined ? <DeadLetters /> : <LetterPage key={id} eventId={id} />;
    case 'users':
      return <Users />;
    case 'activity':
      return <Activity />;
    case 'settings':
      return <Settings />;
    default:
      return (
        <Empty icon="search" title={t('nowhere.title')}>
          <a href={link([])}>{t('nowhere.words')}</a>
        </Empty>
      );
  }
}

/** Until it is known who looks. It asks again until somebody answers. */
function Opening() {
  const [error, setError] = useState<ApiError | undefined>(undefined);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const look = (): void => {
      findSession().catch((failure: unknown) => {
        setError(failure instanceof ApiError ? failure : new ApiError('internal', String(failure), ''));
        timer = setTimeout(look, RETRY_MS);
      });
    };
    look();
    return () => clearTimeout(timer);
  }, []);
  return (
    <main class="gate">
      <div class="card">
        {error === undefined ? (
          <Loading lines={3} />
        ) : (
          <Callout tone="bad" icon="away" live>
            <p>{errorWords(error)}</p>
          </Callout>
        )}
      </div>
    </main>
  );
}
