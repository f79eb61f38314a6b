import { useState } from 'preact/hooks';
import { act } from '../api/client.ts';
import type { Pause } from '../api/types.ts';
import { t } from '../i18n/language.ts';
import { fleetChanged, status } from '../state/fleet.ts';
import { note } from '../state/notes.ts';
import { mayAct } from '../state/session.ts';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Field } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { useAct } from './run-act.ts';

interface Paused {
  readonly changed: boolean;
  readonly pause: Pause | null;
}

const MAX_REASON_CHARS = 200;

/** Stops all calls with a reason, or lets them go on. */
export function PauseControl() {
  const [asked, setAsked] = useState(false);
  if (!mayAct.value) return null;
  const isPaused = status.value?.pause != null;
  return (
    <>
      <Button
        icon={isPaused ? 'play' : 'pause'}
        kind={isPaused ? 'primary' : 'plain'}
        onClick={() => setAsked(true)}
      >
        {t(isPaused ? 'resume.button' : 'pause.button')}
      </Button>
      {asked &&
        (isPaused ? (
          <ResumeDialog onClose={() => setAsked(false)} />
        ) : (
          <PauseDialog onClose={() => setAsked(false)} />
        ))}
    </>
  );
}

function PauseDialog({ onClose }: { readonly onClose: () => void }) {
  const [reason, setReason] = useState('');
  const { busy, problem, run } = useAct(
    () => act<Paused>('pause', { reason: reason.trim() }),
    ({ changed }) => {
      note('good', t(changed ? 'pause.done' : 'pause.already'));
      fleetChanged();
      onClose();
    },
  );
  return (
    <Dialog title={t('pause.title')} onClose={onClose}>
      <p class="soft">{t('pause.words')}</p>
      <form
        class="callout-body"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <Field
          label={t('pause.reason')}
          hint={t('pause.reasonHint')}
          value={reason}
          required
          maxLength={MAX_REASON_CHARS}
          onInput={(event) => setReason(event.currentTarget.value)}
        />
        <Problem text={problem} />
        <div class="actions">
          <Button onClick={onClose}>{t('dialog.cancel')}</Button>
          <Button type="submit" kind="primary" icon="pause" busy={busy} disabled={reason.trim() === ''}>
            {t('pause.do')}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function ResumeDialog({ onClose }: { readonly onClose: () => void }) {
  const { busy, problem, run } = useAct(
    () => act<Paused>('resume', {}),
    ({ changed }) => {
      note('good', t(changed ? 'resume.done' : 'resume.already'));
      fleetChanged();
      onClose();
    },
  );
  return (
    <Dialog title={t('resume.title')} onClose={onClose}>
      <p class="soft">{t(status.value?.hold == null ? 'resume.words' : 'resume.stillHeld')}</p>
      <Problem text={problem} />
      <div class="actions">
        <Button onClick={onClose}>{t('dialog.cancel')}</Button>
        <Button kind="primary" icon="play" busy={busy} onClick={() => void run()}>
          {t('resume.do')}
        </Button>
      </div>
    </Dialog>
  );
}
