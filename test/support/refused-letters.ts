import { refusedLetter } from '../../src/delivery/policy/letter.ts';
import { pendingByUser } from '../../src/delivery/policy/pending-user.ts';
import { parseEntry } from '../../src/event/fields.ts';
import type { Verdict } from '../../src/im/verdicts.ts';
import { type CutLimits, cutCalls } from '../../src/intake/cut.ts';
import { type Attempt, entriesOf } from '../../src/ledger/record.ts';
import { type DeadEvent, settleRecord } from '../../src/ledger/settle.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';

const CODE = 70402;
const limits: CutLimits = {
  batchCommand: 'multiaccount_import',
  singleCommand: 'account_import',
  alone: 'nobody',
  ...{ maxUsers: 100, maxWaitMs: 0, eagerCalls: 1_000_000, eagerGapMs: 0, maxOpenCalls: 1_000_000 },
};
const VERDICT: Verdict = {
  class: 'account',
  meaning: 'a parameter is illegal',
  errorInfo: 'the nick holds words that are not allowed',
  ...{ errorCode: CODE, httpStatus: 200, outcomeKnown: true },
};

/** A profile as backends write them. */
export function typicalEvent(userId: string, i: number): string[] {
  const faceUrl = `https://cdn.example.com/avatars/${(i * 7919) % 1_000_000}.png`;
  return ['userId', userId, 'nick', `Nick of ${i}`, 'faceUrl', faceUrl];
}

/** One call with others, the same again, and the one for the user alone, which named the reason. */
function typicalAttempts(at: number): Attempt[] {
  const of = (command: Attempt['command'], more: number, errorCode: number): Attempt => ({
    ...{ at: at + more, command, errorCode, httpStatus: 200 },
  });
  return [
    of('multiaccount_import', 40, 0),
    of('multiaccount_import', 90, 0),
    of('account_import', 140, CODE),
  ];
}

/**
 * Typical dead letters of users `<prefix>0`, `<prefix>1`, …, whom the API refused: their events are added, cut and settled
 * as a worker does it. `userOf`: other users than these.
 */
export async function makeRefusedLetters(
  redis: RedisClient,
  keys: Keys,
  prefix: string,
  count: number,
  userOf: (i: number) => string = (i) => `${prefix}${i}`,
): Promise<void> {
  for (let from = 0; from < count; from += 1_000) {
    const pipeline = redis.pipeline();
    for (let i = from; i < Math.min(count, from + 1_000); i++)
      pipeline.xadd(keys.stream, '*', ...typicalEvent(userOf(i), i));
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
    for (let run = 0; ; run++) {
      const answer = await cutCalls({ redis, keys }, limits, `letters-${from}-${run}`);
      if (answer.kind !== 'cut' || answer.local === undefined) break;
      const { record } = answer.local;
      const dead = entriesOf(record).map((raw): DeadEvent => {
        const entry = parseEntry(raw, { adminId: 'administrator', form: 'current' });
        if (!entry.ok) throw new Error(`a typical event is valid: ${JSON.stringify(raw)}`);
        const [user] = pendingByUser([entry]).values();
        if (user === undefined) throw new Error('an event has a user');
        const attempts = typicalAttempts(record.cutAtMs);
        const refused = { user: { ...user, attempts }, entry, verdict: VERDICT, reason: 'rejected' } as const;
        const letter = refusedLetter(raw, refused, 'account_import', []);
        return { eventId: raw.eventId, userId: user.userId, reason: 'rejected', code: CODE, letter };
      });
      await settleRecord(redis, keys, record.callId, `letters-${from}-${run}`, {
        ...{ imported: [], superseded: 0, dead, kept: null, publish: [], outcomes: [] },
        released: [...new Set(dead.map(({ userId }) => userId))],
      });
    }
  }
}
