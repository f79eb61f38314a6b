import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { loadScript, runScript } from '../../redis/script.ts';
import { RECORD_FORMAT } from '../record.ts';

const forgetScript = loadScript(
  import.meta.url,
  '../../redis/prelude.lua',
  'forget-tally.lua',
  'forget-call.lua',
  'forget.lua',
);
const entriesScript = loadScript(
  import.meta.url,
  '../../redis/prelude.lua',
  'forget-tally.lua',
  'forget-entries.lua',
);

/** Entries at the front of the intake that one step looks at. */
const PAGE = 1_000;

/** What was taken out, and whether anything is left. */
export interface TakenOut {
  readonly returned: number;
  readonly parked: number;
  readonly inCalls: number;
  /**
   * - `done`: nothing of the user is in these places any more.
   * - `wire`: their call may be on the wire for `waitMs` at most, unless it is made once more: ask again.
   * - `foreign`: another version wrote their call.
   */
  readonly kind: 'done' | 'wire' | 'foreign';
  readonly waitMs: number;
}

/**
 * Takes a user's events out of calls, parking and the front of the intake. `landingMs`: how long after its slot a
 * call may take effect. `dryRun` counts only.
 */
export async function takeOut(
  redis: RedisClient,
  keys: Keys,
  options: { userId: string; run: string; landingMs: number; dryRun: boolean; pageSize?: number },
): Promise<TakenOut> {
  const { userId, run, landingMs, dryRun, pageSize = PAGE } = options;
  const taken = { returned: 0, parked: 0, inCalls: 0 };
  let looked = 0;
  let forgotten = '0';
  for (;;) {
    const [word, waitMs, total, returned, parked, inCalls, lookedAt] = (await runScript(
      redis,
      forgetScript,
      [
        keys.books,
        keys.owners,
        keys.parkedCounts,
        keys.open,
        keys.returned,
        keys.deadRedriving,
        keys.isolated,
        keys.openSince,
      ],
      [
        JSON.stringify({
          userId,
          callPrefix: keys.callPrefix,
          parkedPrefix: keys.parkedPrefix,
          deadPrefix: keys.deadPrefix,
          tallyPrefix: keys.tallyPrefix,
          run,
          format: RECORD_FORMAT,
          landingMs,
          looked,
          page: pageSize,
          forgotten,
          isDryRun: dryRun,
        }),
      ],
    )) as ['more' | 'again' | TakenOut['kind'], number, string, number, number, number, number];
    // What is only counted is counted anew when the counting begins anew.
    if (word === 'again' && dryRun) taken.returned = 0;
    taken.returned += returned;
    taken.parked += parked;
    taken.inCalls += inCalls;
    looked = lookedAt;
    forgotten = total;
    if (word !== 'more' && word !== 'again') return { ...taken, kind: word, waitMs };
  }
}

/** Takes entries off the stream; answers how many were still there. A thousand or so at a time. */
export async function takeOffStream(
  redis: RedisClient,
  keys: Keys,
  eventIds: readonly string[],
): Promise<number> {
  if (eventIds.length === 0) return 0;
  return (await runScript(
    redis,
    entriesScript,
    [keys.stream, keys.books],
    [JSON.stringify({ tallyPrefix: keys.tallyPrefix, eventIds })],
  )) as number;
}
