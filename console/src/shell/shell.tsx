import { type ComponentChildren, Fragment } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { count, t } from '../i18n/language.ts';
import { headOf } from '../pages/overview/standing.tsx';
import { changes, status, trouble, useFleet } from '../state/fleet.ts';
import { link, route } from '../state/route.ts';
import { session } from '../state/session.ts';
import { Icon, type IconName, Mark } from '../ui/icon.tsx';
import { Notes } from '../ui/notes.tsx';
import { Away, Liveness } from './liveness.tsx';
import { Preferences, Viewer } from './viewer.tsx';

const TABS = [
  { path: [], icon: 'overview', key: 'nav.overview' },
  { path: ['dead-letters'], icon: 'letters', key: 'nav.letters' },
  { path: ['users'], icon: 'users', key: 'nav.users' },
  { path: ['activity'], icon: 'activity', key: 'nav.activity' },
  { path: ['settings'], icon: 'settings', key: 'nav.settings' },
] as const satisfies readonly { path: readonly string[]; icon: IconName; key: string }[];

/** So long the server gives all viewers the same state, which may be of before the act. */
const SHARED_MS = 1_200;

/** The frame: who is signed in, where one can go, whether what is shown is of now. */
export function Shell({ children }: { readonly children: ComponentChildren }) {
  const main = useRef<HTMLElement>(null);
  const { refresh } = useFleet();
  const place = route.value.path.join('/');
  const [page = ''] = route.value.path;
  const isFirst = useRef(true);
  // another place, another focus
  useEffect(() => {
    if (!isFirst.current) (main.current?.querySelector('h1') ?? main.current)?.focus();
    isFirst.current = false;
    document.querySelector('.tabs [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    scrollTo(0, 0);
  }, [place]);
  // an act has changed something
  useEffect(() => {
    if (changes.value === 0) return undefined;
    refresh();
    const again = setTimeout(refresh, SHARED_MS);
    return () => clearTimeout(again);
  }, [changes.value]);
  useTitle(page);
  return (
    <div class="shell">
      <button type="button" class="button skip" onClick={() => main.current?.focus()}>
        {t('nav.skip')}
      </button>
      <header class="rail">
        <div class="rail-inner">
          <a class="brand" href={link([])}>
            <Mark />
            <span>
              im-account-sync <span class="app">{session.value?.sdkAppId}</span>
            </span>
          </a>
          <Liveness />
          <nav class="tabs" aria-label={t('nav.label')}>
            <ul>
              {TABS.map(({ path, icon, key }) => (
                <li key={key}>
                  <a href={link(path)} aria-current={page === (path[0] ?? '') ? 'page' : undefined}>
                    <Icon name={icon} />
                    {t(key)}
                    {key === 'nav.letters' && <LetterCount />}
                  </a>
                </li>
              ))}
            </ul>
          </nav>
        </div>
      </header>
      <main ref={main} class="main" tabIndex={-1}>
        <div class="main-inner">
          <Away />
          <Fragment key={place}>{children}</Fragment>
        </div>
      </main>
      <footer class="foot">
        <Viewer />
        <Preferences />
      </footer>
      <Notes />
    </div>
  );
}

function LetterCount() {
  const total = status.value?.deadLetters.total ?? 0;
  return total === 0 ? null : <span class="count">{count(total)}</span>;
}

/** The window's title says how things are, so that a tab in the background tells when it is looked at. */
function useTitle(page: string): void {
  const sentence = status.value?.sentence;
  const tab = TABS.find(({ path }) => (path[0] ?? '') === page);
  const words =
    trouble.value !== undefined ? t('away.title') : sentence === undefined ? '' : headOf(sentence);
  const title = [tab === undefined || page === '' ? words : t(tab.key), 'im-account-sync']
    .filter((part) => part !== '')
    .join(' · ');
  useEffect(() => {
    document.title = title;
  }, [title]);
}
