import type { LetterFilter, StoredLetter } from '../ledger/letters/dead-letters.ts';
import { type LetterCursor, pageOfLetters } from '../ledger/letters/letter-pages.ts';
import {
  type Deletion,
  deleteLetters,
  listDeadLetters,
  readLetters,
} from '../ledger/letters/letter-store.ts';
import type { AppRedis } from '../redis/keys.ts';

/** How many letters were deleted, and how many were not, by the reason. */
export type DeletionCounts = Readonly<Record<Deletion, number>>;

const AT_A_TIME = 100;

/** Deletes the letters that are named, or those that match the filter. */
export async function deleteMeant(
  app: AppRedis,
  meant: { readonly eventIds: readonly string[] } | { readonly filter: LetterFilter },
): Promise<DeletionCounts> {
  const counts: Record<Deletion, number> = { deleted: 0, gone: 0, redriving: 0, changed: 0 };
  const remove = async (letters: readonly StoredLetter[]): Promise<void> => {
    for (const word of await deleteLetters(app, letters)) counts[word]++;
  };
  const named = 'eventIds' in meant ? await readLetters(app, meant.eventIds) : undefined;
  if ('eventIds' in meant) counts.gone = meant.eventIds.length - (named?.length ?? 0);
  const batch: StoredLetter[] = [];
  for await (const letter of named ?? listDeadLetters(app, 'filter' in meant ? meant.filter : undefined)) {
    batch.push(letter);
    if (batch.length === AT_A_TIME) await remove(batch.splice(0));
  }
  await remove(batch);
  return counts;
}

/** Letters that `deletePart` looks at. Few of them may be meant. */
const MOST_LOOKED = 10_000;

/**
 * Deletes the newest letters that match, `most` of them, and looks at a bounded number. `next`: where the next part
 * begins; null at the end.
 */
export async function deletePart(
  app: AppRedis,
  filter: LetterFilter,
  most: number,
  cursor: LetterCursor | null,
): Promise<{ readonly counts: DeletionCounts; readonly next: LetterCursor | null }> {
  const counts: Record<Deletion, number> = { deleted: 0, gone: 0, redriving: 0, changed: 0 };
  let next = cursor;
  let looked = 0;
  do {
    const page = await pageOfLetters(app, filter, Math.min(AT_A_TIME, most - counts.deleted), next);
    for (const word of await deleteLetters(app, page.letters)) counts[word]++;
    next = page.next;
    looked += page.looked;
  } while (next !== null && looked < MOST_LOOKED && counts.deleted < most);
  return { counts, next };
}

/** One line for the history. */
export function deletionText({ deleted }: DeletionCounts): string {
  return `${deleted === 1 ? '1 letter' : `${deleted} letters`} deleted`;
}
