import { useState } from 'preact/hooks';
import { act } from '../api/client.ts';
import { t } from '../i18n/language.ts';
import { note } from '../state/notes.ts';
import { session } from '../state/session.ts';
import { Field, Select } from '../ui/field.tsx';
import { ActDialog, type Asked } from './act-dialog.tsx';

const MAX_CHARS = 500;

/** Adds an event for one user. The event is the whole profile, so what is left empty becomes empty. */
export function ImportDialog({
  userId,
  profile,
  onClose,
  onDone,
}: Asked & {
  readonly userId: string;
  /** What is known of the user, from a dead letter for instance. */
  readonly profile: Readonly<Record<string, string>>;
  readonly onDone: () => void;
}) {
  // A masked profile is not one.
  const known = session.value?.showUsers === true ? profile : {};
  const [nick, setNick] = useState(known.nick ?? '');
  const [faceUrl, setFaceUrl] = useState(known.faceUrl ?? '');
  const [type, setType] = useState(known.type === '1' ? '1' : '0');
  return (
    <ActDialog
      title={t('import.title')}
      about={{ text: userId, isId: true }}
      words={t('import.words')}
      button={{ text: t('import.do'), kind: 'primary' }}
      act={() =>
        act<{ eventId: string }>(`users/${encodeURIComponent(userId)}/import`, {
          ...(nick !== '' && { nick }),
          ...(faceUrl !== '' && { faceUrl }),
          ...(type === '1' && { type: 1 }),
        })
      }
      onDone={({ eventId }) => {
        note('good', t('import.done', { eventId }));
        onDone();
      }}
      onClose={onClose}
    >
      <Field label={t('import.nick')} value={nick} maxLength={MAX_CHARS} onValue={setNick} />
      <Field
        label={t('import.faceUrl')}
        type="url"
        value={faceUrl}
        maxLength={MAX_CHARS}
        onValue={setFaceUrl}
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
    </ActDialog>
  );
}
