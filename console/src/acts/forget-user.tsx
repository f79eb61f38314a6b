import { useEffect, useState } from 'preact/hooks';
import { act } from '../api/client.ts';
import type { Forgotten } from '../api/types.ts';
import { named, t } from '../i18n/language.ts';
import { note } from '../state/notes.ts';
import { Field } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { Callout, Loading } from '../ui/states.tsx';
import { ActDialog, type Asked } from './act-dialog.tsx';
import { useAct } from './run-act.ts';

/** Erases what Redis holds of a user. What would be erased is counted first, and the ID is typed again. */
export function ForgetDialog({
  userId,
  onClose,
  onDone,
}: Asked & { readonly userId: string; readonly onDone: () => void }) {
  const [typed, setTyped] = useState('');
  const [found, setFound] = useState<Forgotten | undefined>(undefined);
  const path = `users/${encodeURIComponent(userId)}/forget`;
  const look = useAct(() => act<Forgotten>(path, { dryRun: true }), setFound);
  // it is counted once, when the dialog opens
  useEffect(() => void look.run(), []);
  return (
    <ActDialog
      title={t('forget.title')}
      about={{ text: userId, isId: true }}
      words={t('forget.words')}
      button={{ text: t('forget.do'), kind: 'danger', icon: 'remove', disabled: typed !== userId }}
      act={() => act<Forgotten>(path, {})}
      onDone={({ complete, left }) => {
        note(complete ? 'good' : 'bad', complete ? t('forget.done') : left.join(' '));
        onDone();
      }}
      onClose={onClose}
    >
      <Problem text={look.problem} />
      {look.problem === undefined && (found === undefined ? <Loading lines={2} /> : <Found found={found} />)}
      <Field
        label={t('forget.typed')}
        value={typed}
        autocomplete="off"
        spellcheck={false}
        onValue={setTyped}
      />
    </ActDialog>
  );
}

function Found({ found: { erased } }: { readonly found: Forgotten }) {
  const parts = Object.entries(erased).filter(([, n]) => n > 0);
  return (
    <Callout tone="warn">
      <p>
        <strong>{t('forget.would')}</strong>{' '}
        {parts.length === 0
          ? t('forget.nothing')
          : parts.map(([what, n]) => `${named('erased.', what)}: ${n}`).join(' · ')}
      </p>
      <p>{t('forget.elsewhere')}</p>
    </Callout>
  );
}
