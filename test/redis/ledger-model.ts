import { compareEventIds, type RawEntry } from '../../src/event/event.ts';
import { claimedUser } from '../../src/ledger/record.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { type ApiModel, isBad } from './crew.ts';
import type { Stage } from './stage.ts';

/** An event as the tests make them up. */
export interface Made {
  readonly user: number;
  readonly kind: 'good' | 'bad' | 'robot' | 'large' | 'malformed';
}

const LARGE = 'x'.repeat(150_000);

/** In the old form a robot goes alone; the others, who have no profile, go together. */
export function fieldsOf({ user, kind }: Made): string[] {
  switch (kind) {
    case 'malformed':
      return user % 2 === 0 ? ['nick', 'nobody'] : ['userId', `u ${user}`];
    case 'robot':
      return ['userId', `u${user}`, 'type', '1'];
    case 'large':
      return ['userId', `u${user}`, 'note', LARGE];
    case 'good':
    case 'bad':
      return ['userId', `u${user}`, 'note', kind];
  }
}

/** Everything that was accepted, and where all of it must have come to once nothing is on its way any more. */
export async function expectDrained(
  stage: Stage,
  accepted: readonly RawEntry[],
  api: ApiModel,
): Promise<void> {
  expect(await stage.problems()).toEqual([]);
  const newestGood = new Map<string, string>();
  for (const entry of accepted) {
    const user = claimedUser(entry.fields);
    if (user === '' || isBad(entry)) continue;
    const known = newestGood.get(user);
    if (known === undefined || compareEventIds(known, entry.eventId) < 0) newestGood.set(user, entry.eventId);
  }
  // What was refused before a newer event got in is made up for; the rest is dead, and nothing else is.
  const dead = accepted.filter((entry) => {
    const user = claimedUser(entry.fields);
    if (user === '') return true;
    const good = newestGood.get(user);
    return isBad(entry) && (good === undefined || compareEventIds(good, entry.eventId) < 0);
  });
  expect(new Map([...api.profiles].sort())).toEqual(new Map([...newestGood].sort()));
  const letters = await stage.redis.zrange(stage.keys.deadByTime, '0', '-1');
  expect(letters.sort()).toEqual(dead.map(({ eventId }) => eventId).sort());
  const books = await readTotals(stage.redis, stage.keys);
  expect(books).toMatchObject({ waiting: 0, parked: 0, usersInCalls: {}, accepted: accepted.length });
  expect(books.imported + books.superseded + books.deadLettered).toBe(accepted.length);
  const { keys, redis } = stage;
  expect(await redis.exists(keys.owners, keys.parkedCounts, keys.open, keys.returned)).toBe(0);
}
