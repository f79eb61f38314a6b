import { setTimeout as sleep } from 'node:timers/promises';
import { toFields, type UserInput } from '../../event/fields.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { TALLY_LIFE_SECONDS } from './tally.ts';

/** Adds users to the intake stream. With a tally it counts them in the same step. */
export interface StreamWriter {
  /** Resolves once Redis has all of them. Waits while Redis refuses for a transient reason. */
  write(users: readonly UserInput[]): Promise<void>;
}

const AGAIN_MS = 1_000;
/** Refusals that waiting does not cure. */
const LASTING = /^(NOPERM|NOAUTH|WRONGPASS|WRONGTYPE|ERR)\b/;

export function createStreamWriter(options: {
  readonly redis: RedisClient;
  readonly keys: Keys;
  /** An open tally; undefined when nobody counts. */
  readonly tally: string | undefined;
  readonly signal: AbortSignal;
  /** Redis refused. The writer tries again after a second. */
  readonly onRefused: (reason: string) => void;
}): StreamWriter {
  const { redis, keys, tally, signal, onRefused } = options;
  const tallyKey = tally === undefined ? undefined : keys.tallyPrefix + tally;

  const writeOnce = async (users: readonly UserInput[]): Promise<void> => {
    // A transaction adds all or none. A full Redis could otherwise take some, and the count would be wrong.
    const transaction = redis.multi();
    for (const user of users) transaction.xadd(keys.stream, '*', ...toFields({ ...user, tally }));
    if (tallyKey !== undefined) {
      transaction.hincrby(tallyKey, 'accepted', users.length);
      transaction.expire(tallyKey, TALLY_LIFE_SECONDS);
    }
    const replies = (await transaction.exec()) ?? [];
    for (const [error] of replies) if (error !== null) throw error;
  };

  return {
    async write(users) {
      if (users.length === 0) return;
      for (;;) {
        try {
          return await writeOnce(users);
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

/** A discarded transaction carries the reasons in `previousErrors`; the first of them says why. */
function reasonsOf(error: unknown): string[] {
  const { message, previousErrors } = error as Error & { previousErrors?: readonly Error[] };
  return [...(previousErrors ?? []).map((previous) => previous.message), message];
}
