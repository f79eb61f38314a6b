import { setTimeout as sleep } from 'node:timers/promises';
import { toFields, type UserInput } from '../../event/fields.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { TALLY_LIFE_SECONDS } from './tally.ts';

/** Adds users to the intake, and counts them in the same step where a tally is wanted. */
export interface Adder {
  /** Resolves once Redis has all of them; waits while it refuses for a passing reason. */
  add(users: readonly UserInput[]): Promise<void>;
}

const AGAIN_MS = 1_000;
/** Refusals that waiting does not mend. */
const LASTING = /^(NOPERM|NOAUTH|WRONGPASS|WRONGTYPE|ERR)\b/;

export function createAdder(options: {
  readonly redis: RedisClient;
  readonly keys: Keys;
  /** Opened before; undefined when nobody counts. */
  readonly tally: string | undefined;
  readonly signal: AbortSignal;
  /** Redis refuses; it is tried again in a second. */
  readonly onRefused: (reason: string) => void;
}): Adder {
  const { redis, keys, tally, signal, onRefused } = options;
  const tallyKey = tally === undefined ? undefined : keys.tallyPrefix + tally;

  const addOnce = async (users: readonly UserInput[]): Promise<void> => {
    // All or none: what a full Redis would have taken of it would be counted wrong.
    const together = redis.multi();
    for (const user of users) together.xadd(keys.stream, '*', ...toFields({ ...user, tally }));
    if (tallyKey !== undefined) {
      together.hincrby(tallyKey, 'accepted', users.length);
      together.expire(tallyKey, TALLY_LIFE_SECONDS);
    }
    const replies = (await together.exec()) ?? [];
    for (const [error] of replies) if (error !== null) throw error;
  };

  return {
    async add(users) {
      if (users.length === 0) return;
      for (;;) {
        try {
          return await addOnce(users);
        } catch (error) {
          const reasons = reasonsOf(error);
          if (reasons.some((reason) => LASTING.test(reason))) throw error;
          onRefused(reasons[0] ?? String(error));
          await sleep(AGAIN_MS, undefined, { signal });
        }
      }
    },
  };
}

/** Of a discarded transaction the first refusals say why. */
function reasonsOf(error: unknown): string[] {
  const { message, previousErrors } = error as Error & { previousErrors?: readonly Error[] };
  return [...(previousErrors ?? []).map((previous) => previous.message), message];
}
