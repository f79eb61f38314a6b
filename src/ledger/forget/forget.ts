import type { AppRedis } from '../../redis/keys.ts';
import { askScript, fieldsOf, loadScript } from '../../redis/script.ts';
import { RECORD_FORMAT } from '../record.ts';

const forgetScript = loadScript(import.meta.url, '../record.lua', 'forget-parts.lua', 'forget.lua');

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

type ForgetReply = Omit<TakenOut, 'kind'> & {
  readonly kind: 'more' | 'again' | TakenOut['kind'];
  readonly looked: number;
  readonly forgotten: string;
};

/**
 * Takes a user's events out of calls, parking and the front of the intake. `landingMs`: how long after its
 * slot a call may take effect. `dryRun` counts only.
 */
export async function takeOut(
  { redis, keys }: AppRedis,
  options: { userId: string; run: string; landingMs: number; dryRun: boolean; pageSize?: number },
): Promise<TakenOut> {
  const taken = { returned: 0, parked: 0, inCalls: 0 };
  let looked = 0;
  let forgotten = '0';
  for (;;) {
    const request = { format: RECORD_FORMAT, looked, forgotten, pageSize: PAGE, ...options };
    const reply = fieldsOf<ForgetReply>(await askScript(redis, forgetScript, keys, request));
    const { kind, waitMs } = reply;
    // What is only counted is counted once more when the counting begins again.
    if (kind === 'again' && options.dryRun) taken.returned = 0;
    taken.returned += reply.returned;
    taken.parked += reply.parked;
    taken.inCalls += reply.inCalls;
    ({ looked, forgotten } = reply);
    if (kind !== 'more' && kind !== 'again') return { ...taken, kind, waitMs };
  }
}

/** Takes entries off the stream; answers how many were still there. A thousand or so at a time. */
export async function takeOffStream({ redis, keys }: AppRedis, eventIds: readonly string[]): Promise<number> {
  if (eventIds.length === 0) return 0;
  return (await askScript(redis, forgetScript, keys, { eventIds })) as number;
}
