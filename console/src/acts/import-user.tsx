import { useState } from 'preact/hooks';
import { act } from '../api/client.ts';
import { t } from '../i18n/language.ts';
import { note } from '../state/notes.ts';
import { session } from '../state/session.ts';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Field, Select } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { Foreign } from '../ui/words.tsx';
import { useAct } from './run-act.ts';

const MAX_CHARS = 500;

/** Adds an event for one user. The event is the whole profile, so what is left empty becomes empty. */
export function ImportDialog({
  userId,
  profile,
  onClose,
  onDone,
}: {
  readonly userId: string;
  /** What is known of the user, from a dead letter for instance. */
  readonly profile: Readonly<Record<string, string>>;
  readonly onClose: () => void;
  readonly onDone: () => void;
}) {
  // A masked profile is not one.
  const known = session.value?.showUsers === true ? profile : {};
  const [nick, setNick] = useState(known.nick ?? '');
  const [faceUrl, setFaceUrl] = useState(known.faceUrl ?? '');
  const [type, setType] = useState(known.type === '1' ? '1' : '0');
  const { busy, problem, run } = useAct(
    () =>
      act<{ eventId: string }>(`users/${encodeURIComponent(userId)}/import`, {
        ...(nick !== '' && { nick }),
        ...(faceUrl !== '' && { faceUrl }),
        ...(type === '1' && { type: 1 }),
      }),
    ({ eventId }) => {
      note('good', t('import.done', { eventId }));
      onDone();
      onClose();
    },
  );
  return (
    <Dialog title={t('import.title')} onClose={onClose}>
      <p>
        <code>
          <Foreign text={userId} />
        </code>
      </p>
      <p class="soft">{t('import.words')}</p>
      <form
        class="callout-body"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <Field
          label={t('import.nick')}
          value={nick}
          maxLength={MAX_CHARS}
          onInput={(event) => setNick(event.currentTarget.value)}
        />
        <Field
          label={t('import.faceUrl')}
          type="url"
          value={faceUrl}
          maxLength={MAX_CHARS}
          onInput={(event) => setFaceUrl(event.currentTarget.value)}
        />
        <Select
          label={t('import.type')}
          value={type}
          options={[
            { value: '0', text: t('import.person') },
            { value: '1', text: t('import.robot') },
          ]}
          onChange={setType}
        />
        <Problem text={problem} />
        <div class="actions">
          <Button onClick={onClose}>{t('dialog.cancel')}</Button>
          <Button type="submit" kind="primary" busy={busy}>
            {t('import.do')}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
