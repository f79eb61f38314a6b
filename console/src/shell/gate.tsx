import { useEffect, useState } from 'preact/hooks';
import { useAct } from '../acts/run-act.ts';
import { t } from '../i18n/language.ts';
import { visible } from '../state/clock.ts';
import { findSession, gateReason, signIn } from '../state/session.ts';
import { Button } from '../ui/button.tsx';
import { Field } from '../ui/field.tsx';
import { Mark } from '../ui/icon.tsx';
import { Callout } from '../ui/states.tsx';
import { Preferences } from './viewer.tsx';

const REASONS = {
  ended: 'gate.ended',
  left: 'gate.left',
  'bad-link': 'gate.badLink',
  'link-again': 'gate.linkAgain',
} as const;

/** A token for a session. The address stays, so that one arrives where one wanted to go. */
export function Gate() {
  const [token, setToken] = useState('');
  const { busy, problem, run } = useAct(
    () => signIn(token.trim()),
    () => undefined,
  );
  const reason = gateReason.value;
  const isSeen = visible.value;
  // Somebody may have signed in with another tab meanwhile.
  useEffect(() => {
    if (isSeen && reason !== 'left') findSession().catch(() => undefined);
  }, [isSeen, reason]);
  return (
    <main class="gate">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <p class="brand">
          <Mark /> im-account-sync
        </p>
        <h1>{t('gate.title')}</h1>
        {reason !== undefined && (
          <Callout tone={reason === 'ended' || reason === 'left' ? 'plain' : 'warn'} live>
            <p>{t(REASONS[reason])}</p>
          </Callout>
        )}
        <Field
          label={t('gate.token')}
          hint={t('gate.hint')}
          type="password"
          autocomplete="current-password"
          required
          maxLength={512}
          value={token}
          problem={problem}
          onValue={setToken}
        />
        <div class="actions">
          <Button type="submit" kind="primary" busy={busy} disabled={token.trim() === ''}>
            {t('gate.enter')}
          </Button>
        </div>
      </form>
      <Preferences />
    </main>
  );
}
