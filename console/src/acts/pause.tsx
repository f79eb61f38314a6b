import { useState } from 'preact/hooks';
import { act } from '../api/client.ts';
import type { Pause } from '../api/types.ts';
import { t } from '../i18n/language.ts';
import { status } from '../state/fleet.ts';
import { note } from '../state/notes.ts';
import { mayAct } from '../state/session.ts';
import { Button } from '../ui/button.tsx';
import { Field } from '../ui/field.tsx';
import { ActDialog, type Asked } from './act-dialog.tsx';

interface Paused {
  readonly changed: boolean;
  readonly pause: Pause | null;
}

const MAX_REASON_CHARS = 200;

/** Stops all calls with a reason, or lets them go on. */
export function PauseControl() {
  // Which of the two was asked for stays, whoever else pauses or resumes meanwhile.
  const [asked, setAsked] = useState<'pause' | 'resume'>();
  if (!mayAct.value) return null;
  const isPaused = status.value?.pause != null;
  const Ask = asked === 'resume' ? ResumeDialog : PauseDialog;
  return (
    <>
      <Button
        icon={isPaused ? 'play' : 'pause'}
        kind={isPaused ? 'primary' : 'plain'}
        onClick={() => setAsked(isPaused ? 'resume' : 'pause')}
      >
        {t(isPaused ? 'resume.button' : 'pause.button')}
      </Button>
      {asked !== undefined && <Ask onClose={() => setAsked(undefined)} />}
    </>
  );
}

function PauseDialog({ onClose }: Asked) {
  const [reason, setReason] = useState('');
  return (
    <ActDialog
      title={t('pause.title')}
      words={t('pause.words')}
      button={{ text: t('pause.do'), kind: 'primary', icon: 'pause', disabled: reason.trim() === '' }}
      act={() => act<Paused>('pause', { reason: reason.trim() })}
      onDone={({ changed }) => note('good', t(changed ? 'pause.done' : 'pause.already'))}
      onClose={onClose}
    >
      <Field
        label={t('pause.reason')}
        hint={t('pause.reasonHint')}
        value={reason}
        required
        maxLength={MAX_REASON_CHARS}
        onValue={setReason}
      />
    </ActDialog>
  );
}

function ResumeDialog({ onClose }: Asked) {
  return (
    <ActDialog
      title={t('resume.title')}
      words={t(status.value?.hold == null ? 'resume.words' : 'resume.stillHeld')}
      button={{ text: t('resume.do'), kind: 'primary', icon: 'play' }}
      act={() => act<Paused>('resume', {})}
      onDone={({ changed }) => note('good', t(changed ? 'resume.done' : 'resume.already'))}
      onClose={onClose}
    />
  );
}
