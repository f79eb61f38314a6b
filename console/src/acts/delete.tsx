import { useState } from 'preact/hooks';
import { act } from '../api/client.ts';
import type { Deleted, Selection } from '../api/types.ts';
import { t } from '../i18n/language.ts';
import { fleetChanged } from '../state/fleet.ts';
import { note } from '../state/notes.ts';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Check } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { Foreign } from '../ui/words.tsx';
import { useAct } from './run-act.ts';

/** Deletes letters for good. It wants a word that this is meant. */
export function DeleteDialog({
  selection,
  state,
  scope,
  onClose,
  onDone,
}: {
  readonly selection: Selection;
  readonly state: string;
  readonly scope: string;
  readonly onClose: () => void;
  readonly onDone: () => void;
}) {
  const [sure, setSure] = useState(false);
  const [soFar, setSoFar] = useState(0);
  const { busy, problem, run } = useAct(
    () => deleteAll({ ...selection, ...('eventIds' in selection ? {} : { state }) }, setSoFar),
    ({ deleted, kept }) => {
      note('good', t(kept === 0 ? 'delete.done' : 'delete.doneSome', { n: deleted, kept }));
      fleetChanged();
      onDone();
      onClose();
    },
  );
  return (
    <Dialog title={t('delete.title')} onClose={onClose}>
      <p>
        <Foreign text={scope} />
      </p>
      <p class="soft">{t('delete.words')}</p>
      <Check checked={sure} onChange={setSure}>
        {t('delete.sure')}
      </Check>
      {busy && <p role="status">{t('delete.soFar', { n: soFar })}</p>}
      <Problem text={problem} />
      <div class="actions">
        <Button onClick={onClose}>{t('dialog.cancel')}</Button>
        <Button kind="danger" icon="remove" busy={busy} disabled={!sure} onClick={() => void run()}>
          {t('delete.do')}
        </Button>
      </div>
    </Dialog>
  );
}

/** One request deletes a part; the next one the rest. Ends when a request deleted nothing. */
async function deleteAll(
  request: object,
  onProgress: (deleted: number) => void,
): Promise<{ deleted: number; kept: number }> {
  let deleted = 0;
  for (;;) {
    const answer = await act<Deleted>('dead-letters/delete', request);
    deleted += answer.deleted;
    onProgress(deleted);
    if (!answer.more || answer.deleted === 0) return { deleted, kept: answer.redriving + answer.changed };
  }
}
