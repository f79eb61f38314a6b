import type { StoredLetter } from '../../../src/ledger/letters/dead-letters.ts';
import {
  awaitsSample,
  failsTooOften,
  givesUp,
  maxOpenRedrives,
  type RedriveOptions,
  rateWaitMs,
  redrive,
  usersAtATime,
} from '../../../src/tasks/redrive.ts';

it.each([
  [100, 19],
  [10, 1],
  [1, 1],
])('of a quota of %i calls a second, %i may be open as redrives', (perSecond, open) => {
  expect(maxOpenRedrives({ perSecond, share: 1, margin: 0.01 })).toBe(open);
});

it.each([
  [100, Number.POSITIVE_INFINITY, 100],
  [100, 7, 7],
  [100, 500, 100],
  [1, 500, 1],
])('calls of %i users at a rate of %p: %i at a time', (maxUsers, rate, expected) => {
  expect(usersAtATime(maxUsers, rate)).toBe(expected);
});

it.each([
  [0, 0, 10, 0],
  [10, 0, 10, 1_000],
  [10, 400, 10, 600],
  [10, 5_000, 10, 0],
  [10, 0, Number.POSITIVE_INFINITY, 0],
])('%i users in %i ms at a rate of %p: %i ms to wait', (users, elapsedMs, rate, expected) => {
  expect(rateWaitMs(users, elapsedMs, rate)).toBe(expected);
});

it('gives up at once when calls do not go out, else when nothing has moved for long', () => {
  expect(givesUp('held', 0)).toBe('held');
  expect(givesUp('paused', 0)).toBe('paused');
  expect(givesUp(null, 59_999)).toBeNull();
  expect(givesUp(null, 60_000)).toBe('no-room');
});

it.each([
  [0, 99, 0.5, false],
  [0, 100, 0.5, true],
  [50, 50, 0.5, false],
  [49, 51, 0.5, true],
  [0, 1_000, 1, false],
  [999, 1, 0, true],
])(
  '%i imported and %i dead once more, at a bound of %p: too often? %p',
  (imported, failed, share, expected) => {
    expect(failsTooOften({ users: 0, imported, failed }, share)).toBe(expected);
  },
);

it.each([
  [99, 0, 99, 0.5, false],
  [100, 99, 1, 0.5, true],
  [100, 100, 0, 0.5, false],
  // Deleted meanwhile: nothing more will be known of them.
  [100, 10, 0, 0.5, false],
  [100, 0, 100, 1, false],
])(
  '%i redriven, %i known, %i open, at a bound of %p: waits? %p',
  (users, imported, open, share, expected) => {
    expect(awaitsSample({ users, imported, failed: 0 }, open, share)).toBe(expected);
  },
);

it('leaves letters whose user ID is refused still, and does not count them as failures', async () => {
  async function* letters(): AsyncGenerator<StoredLetter> {
    const common = { reason: 'invalid', state: 'dead' };
    for (let i = 0; i < 200; i++)
      yield {
        ...common,
        eventId: `${i}-0`,
        userId: 'NULL',
        event: { userId: 'NULL' },
      } as unknown as StoredLetter;
  }
  // Nothing is asked of Redis.
  const options = { request: { invalid: true, dryRun: true }, maxUsers: 100, usersPerSecond: 1_000 };
  const run = (allowOddIds: readonly string[]) =>
    redrive({ ...options, allowOddIds, hasRoom: async () => true } as unknown as RedriveOptions, letters());
  expect(await run(['None'])).toMatchObject({ users: 0, failed: 0, left: { odd: 200 }, givenUp: null });
  // An allowed one is asked for, which fails here.
  await expect(run(['NULL'])).rejects.toThrow();
});
