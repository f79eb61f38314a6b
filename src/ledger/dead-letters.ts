import type { CommandName } from '../im/commands.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import type { Attempt } from './record.ts';

/**
 * Why an event ended here.
 * - `invalid`: the entry does not hold up; it was never sent.
 * - `rejected`: the API refuses this account.
 * - `profile`: the account was imported, its nick or picture was refused.
 * - `expired`: retried until it was too old.
 * - `unknown`: an answer that nobody knows, for this account alone.
 */
export const deadReasons = ['invalid', 'rejected', 'profile', 'expired', 'unknown'] as const;
export type DeadReason = (typeof deadReasons)[number];

/** What is kept of an event that ended here, apart from its state. Never its password. */
export interface Letter {
  readonly eventId: string;
  /** As it came, cut to 200 characters; '' if there was none. */
  readonly userId: string;
  readonly reason: DeadReason;
  /** 0 if the API gave none. */
  readonly errorCode: number;
  readonly errorInfo: string;
  /** 0 if no answer came. */
  readonly httpStatus: number;
  readonly command: CommandName | '';
  /** The event's own fields. */
  readonly event: Readonly<Record<string, string>>;
  /** Fields that are secret and kept nowhere: trying again needs them given anew. */
  readonly withheld?: readonly string[];
  readonly attempts: readonly Attempt[];
  /** When the event was accepted: the time in its ID, ms since 1970. */
  readonly firstSeenAt: number;
  /** Earliest time at which trying again can succeed; null: any time. */
  readonly notBefore: number | null;
}

export type LetterState = 'dead' | 'redriving' | 'resolved';

/** A letter as it is listed. */
export interface StoredLetter extends Letter {
  readonly state: LetterState;
  /** ms since 1970. */
  readonly deadSince: number;
}

/** Unresolved letters, oldest first, in pages, so that millions of them fit in no memory at once. */
export async function* listDeadLetters(
  redis: RedisClient,
  keys: Keys,
  pageSize = 500,
): AsyncGenerator<StoredLetter> {
  let from = '-inf';
  let seen = new Set<string>();
  for (;;) {
    // By score, not by rank: letters that are resolved meanwhile would shift the ranks.
    const page = await redis.zrange(
      keys.deadByTime,
      from,
      '+inf',
      'BYSCORE',
      'LIMIT',
      0,
      pageSize + seen.size,
      'WITHSCORES',
    );
    const rows: { eventId: string; deadAt: string }[] = [];
    for (let i = 0; i + 1 < page.length; i += 2) {
      const eventId = page[i] ?? '';
      if (!seen.has(eventId)) rows.push({ eventId, deadAt: page[i + 1] ?? '' });
    }
    if (rows.length === 0) return;
    const replies = await redis
      .pipeline(rows.map(({ eventId }) => ['hgetall', keys.deadPrefix + eventId]))
      .exec();
    for (const [error, fields] of replies ?? []) {
      if (error) throw error;
      const letter = readLetter(fields as Record<string, string>);
      if (letter) yield letter;
    }
    const last = rows.at(-1)?.deadAt ?? from;
    const atLast = rows.filter(({ deadAt }) => deadAt === last).map(({ eventId }) => eventId);
    seen = new Set(last === from ? [...seen, ...atLast] : atLast);
    from = last;
  }
}

/** undefined for a letter that was deleted between listing and reading. */
function readLetter(fields: Record<string, string>): StoredLetter | undefined {
  if (fields.letter === undefined) return undefined;
  return {
    ...(JSON.parse(fields.letter) as Letter),
    state: fields.state as LetterState,
    deadSince: Number(fields.deadAt),
  };
}
