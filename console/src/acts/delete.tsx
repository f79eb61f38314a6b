import { useState } from 'preact/hooks';
import { act } from '../api/client.ts';
import type { Deleted, Selection } from '../api/types.ts';
import { t } from '../i18n/language.ts';
import { note } from '../state/notes.ts';
import { Check } from '../ui/field.tsx';
import { ActDialog, type Asked } from './act-dialog.tsx';

/** Deletes letters for good. It wants a word that this is meant. */
export function DeleteDialog({
  selection,
  state,
  scope,
  onClose,
  onDone,
}: Asked & {
  readonly selection: Selection;
  readonly state: string;
  readonly scope: string;
  readonly onDone: () => void;
}) {
  const [sure, setSure] = useState(false);
  const [soFar, setSoFar] = useState<number | undefined>(undefined);
  const isNamed = 'eventIds' in selection;
  return (
    <ActDialog
      title={t('delete.title')}
      about={{ text: scope }}
      words={t('delete.words')}
      button={{ text: t('delete.do'), kind: 'danger', icon: 'remove', disabled: !sure }}
      act={() => deleteAll(isNamed ? selection : { ...selection, state }, setSoFar)}
      onDone={({ deleted, kept }) => {
        note('good', t(kept === 0 ? 'delete.done' : 'delete.doneSome', { n: deleted, kept }));
        onDone();
      }}
      onClose={onClose}
    >
      <Check checked={sure} onChange={setSure}>
        {t('delete.sure')}
      </Check>
      {soFar !== undefined && <p role="status">{t('delete.soFar', { n: soFar })}</p>}
    </ActDialog>
  );
}

/** One request deletes a part; the next one goes on where that ended. */
async function deleteAll(
  request: object,
  onProgress: (deleted: number) => void,
): Promise<{ deleted: number; kept: number }> {
  let deleted = 0;
  let kept = 0;
  for (let cursor: string | undefined; ; ) {
    onProgress(deleted);
    const answer = await act<Deleted>('dead-letters/delete', { ...request, cursor });
    deleted += answer.deleted;
    kept += answer.redriving + answer.changed;
    if (answer.next === null) return { deleted, kept };
    cursor = answer.next;
  }
}
