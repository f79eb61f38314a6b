import { useEffect, useState } from 'preact/hooks';
import { act } from '../api/client.ts';
import type { Forgotten } from '../api/types.ts';
import { named, t } from '../i18n/language.ts';
import { fleetChanged } from '../state/fleet.ts';
import { note } from '../state/notes.ts';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Field } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { Callout, Loading } from '../ui/states.tsx';
import { Foreign } from '../ui/words.tsx';
import { useAct } from './run-act.ts';

/** Erases what Redis holds of a user. What would be erased is counted first, and the ID is typed again. */
export function ForgetDialog({
  userId,
  onClose,
  onDone,
}: {
  readonly userId: string;
  readonly onClose: () => void;
  readonly onDone: () => void;
}) {
  const [typed, setTyped] = useState('');
  const [found, setFound] = useState<Forgotten | undefined>(undefined);
  const path = `users/${encodeURIComponent(userId)}/forget`;
  const look = useAct(() => act<Forgotten>(path, { dryRun: true }), setFound);
  const erase = useAct(
    () => act<Forgotten>(path, {}),
    (result) => {
      note(result.complete ? 'good' : 'bad', result.complete ? t('forget.done') : result.left.join(' '));
      fleetChanged();
      onDone();
      onClose();
    },
  );
  // it is counted once, when the dialog opens
  useEffect(() => void look.run(), []);
  return (
    <Dialog title={t('forget.title')} onClose={onClose}>
      <p>
        <code>
          <Foreign text={userId} />
        </code>
      </p>
      <p class="soft">{t('forget.words')}</p>
      <Problem text={look.problem} />
      {look.problem === undefined && (found === undefined ? <Loading lines={2} /> : <Found found={found} />)}
      <form
        class="callout-body"
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === userId) void erase.run();
        }}
      >
        <Field
          label={t('forget.typed')}
          value={typed}
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <Problem text={erase.problem} />
        <div class="actions">
          <Button onClick={onClose}>{t('dialog.cancel')}</Button>
          <Button type="submit" kind="danger" icon="remove" busy={erase.busy} disabled={typed !== userId}>
            {t('forget.do')}
          </Button>
        </div>
      </form>
    </Dialog>
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
