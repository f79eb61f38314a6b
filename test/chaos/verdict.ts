import type { Account } from '../../simulator/accounts/account-store.ts';
import { compareEventIds } from '../../src/event/event.ts';
import { listDeadLetters } from '../../src/ledger/letters/letter-store.ts';
import type { Totals } from '../../src/ledger/totals.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';
import type { Fate, Sent } from './flow.ts';

/** What the end of a row is judged by. */
export interface Evidence {
  readonly acknowledged: readonly Sent[];
  readonly unsure: readonly Sent[];
  /** Ends by event, in the order in which they were heard; undefined when Redis may have lost some of the words. */
  readonly ends: ReadonlyMap<string, readonly string[]> | undefined;
  readonly accounts: ReadonlyMap<string, Readonly<Account>>;
  readonly books: Totals;
  /** True when events were redriven: such an event ends once more. */
  readonly redriven: boolean;
}

export interface Judgement {
  readonly lost: number;
  readonly repeated: number;
  readonly problems: readonly string[];
}

const SHOWN = 5;

/** Whether every event came to the end that it had to come to. */
export async function judge(redis: RedisClient, keys: Keys, evidence: Evidence): Promise<Judgement> {
  const { acknowledged, unsure, ends, accounts, books } = evidence;
  const problems: string[] = [];
  const say = (found: readonly string[], what: string): void => {
    if (found.length > 0)
      problems.push(
        `${found.length} ${what}: ${found.slice(0, SHOWN).join('; ')}${found.length > SHOWN ? ' …' : ''}`,
      );
  };

  const endless = ends === undefined ? [] : acknowledged.filter(({ eventId }) => !ends.has(eventId));
  const missing = Math.max(endless.length, acknowledged.length - books.accepted);
  say(
    endless.map(({ eventId, userId }) => `${eventId} of ${userId || 'nobody'}`),
    'acknowledged events have no end',
  );
  if (missing > endless.length) problems.push(`${missing} acknowledged events are not in the books`);
  if (ends !== undefined && !evidence.redriven) {
    const twice = [...ends].filter(([, heard]) => heard.length > 1);
    say(
      twice.map(([eventId, heard]) => `${eventId}: ${heard.join(', ')}`),
      'events ended more than once',
    );
  }

  const byUser = newestGood(acknowledged);
  const maybe = new Map<string, Sent[]>();
  for (const sent of unsure) maybe.set(sent.userId, [...(maybe.get(sent.userId) ?? []), sent]);
  const stale: string[] = [];
  let absent = 0;
  for (const [userId, newest] of byUser) {
    const nick = accounts.get(userId)?.nick;
    if (nick === newest.nick) continue;
    if (maybe.get(userId)?.some((sent) => sent.nick === nick && sent.seq > newest.seq)) continue;
    if (nick === undefined) absent++;
    stale.push(`${userId} has ${nick ?? 'no profile'}, newest is ${newest.nick}`);
  }
  say(stale, 'users do not have their newest profile');

  const due = deadDue(acknowledged, byUser);
  const dead = new Map<string, { readonly reason: string; readonly errorCode: number }>();
  for await (const { eventId, reason, errorCode } of listDeadLetters({ redis, keys }))
    dead.set(eventId, { reason, errorCode });
  const unsureUsers = new Set(unsure.map(({ userId }) => userId));
  const known = new Map(acknowledged.map((sent) => [sent.eventId, sent]));
  const wrongly = [...dead].filter(([eventId, { reason, errorCode }]) => {
    const fate = due.get(eventId);
    if (fate !== undefined) return fate?.reason !== reason || fate.errorCode !== errorCode;
    // One that was never acknowledged may be there all the same.
    return known.has(eventId) || unsure.length === 0;
  });
  say(
    wrongly.map(
      ([id, { reason, errorCode }]) => `${id} of ${known.get(id)?.userId ?? '?'}: ${reason} ${errorCode}`,
    ),
    'events are dead-lettered that need not be',
  );
  const undead = [...due.keys()].filter(
    (eventId) => !dead.has(eventId) && !unsureUsers.has(known.get(eventId)?.userId ?? ''),
  );
  say(undead, 'events should be dead-lettered and are not');

  const imports = [...accounts.values()].reduce((sum, account) => sum + account.imports, 0);
  return { lost: Math.max(missing, absent), repeated: imports - books.imported, problems };
}

/** The event whose profile each user must have in the end. */
function newestGood(acknowledged: readonly Sent[]): Map<string, Sent> {
  const newest = new Map<string, Sent>();
  for (const sent of acknowledged) {
    if (sent.fate !== null) continue;
    const known = newest.get(sent.userId);
    if (known === undefined || compareEventIds(known.eventId, sent.eventId) < 0)
      newest.set(sent.userId, sent);
  }
  return newest;
}

/** Events that must be dead letters: nothing newer of their user made up for them. */
function deadDue(
  acknowledged: readonly Sent[],
  newest: ReadonlyMap<string, Sent>,
): Map<string, NonNullable<Fate>> {
  const due = new Map<string, NonNullable<Fate>>();
  for (const { eventId, userId, fate } of acknowledged) {
    if (fate === null) continue;
    const good = newest.get(userId);
    if (good === undefined || compareEventIds(good.eventId, eventId) < 0) due.set(eventId, fate);
  }
  return due;
}
