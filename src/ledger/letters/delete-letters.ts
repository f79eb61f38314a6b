import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { loadScript, runScript } from '../../redis/script.ts';
import type { StoredLetter } from './dead-letters.ts';

const deleteScript = loadScript(
  import.meta.url,
  '../../redis/prelude.lua',
  'letter-index.lua',
  'delete-letters.lua',
);

/**
 * - `gone`: was deleted meanwhile.
 * - `redriving`: its event is in a call, which decides about it.
 * - `changed`: it died again since it was read.
 */
export type Deletion = 'deleted' | 'gone' | 'redriving' | 'changed';

/** Forgets letters as they were read: one answer for each. A hundred or so at a time. */
export async function deleteLetters(
  redis: RedisClient,
  keys: Keys,
  letters: readonly Pick<StoredLetter, 'eventId' | 'deadSince'>[],
): Promise<Deletion[]> {
  if (letters.length === 0) return [];
  return (await runScript(
    redis,
    deleteScript,
    [
      keys.books,
      keys.deadByTime,
      keys.deadByUser,
      keys.deadByCode,
      keys.deadByReason,
      keys.deadUsers,
      keys.deadCounts,
      keys.deadResolved,
    ],
    [
      JSON.stringify({
        deadPrefix: keys.deadPrefix,
        letters: letters.flatMap(({ eventId, deadSince }) => [eventId, String(deadSince)]),
      }),
    ],
  )) as Deletion[];
}
