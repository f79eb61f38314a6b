import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { type Play, type PlayResult, playFault } from '../support/whose-fault.ts';

/**
 * Real worker processes at default settings behind a gateway. All plays run at the same time; `npm run chaos:faults` plays
 * every kind of answer in every scope.
 */
const plays = {
  page: { kind: '403 page', scope: 'one user' },
  pageAmongSignups: { kind: '404 page', scope: 'one user', signups: true },
  silence: { kind: 'silence', scope: 'one user' },
  several: { kind: '502 page', scope: 'several users' },
  account: { kind: '70500 retry', scope: 'one account' },
  appCode: { kind: '60021 app', scope: 'one account', signups: true },
  throttle: { kind: '429 page', scope: 'one user' },
  size: { kind: '413 page', scope: 'by size' },
  sizeUnnamed: { kind: '403 page', scope: 'by size' },
  everybody: { kind: '403 page', scope: 'everybody' },
  everybodyThrottled: { kind: '60007 throttle', scope: 'everybody' },
  time: { kind: '79999 unlisted', scope: 'by time' },
} as const satisfies Readonly<Record<string, Play>>;
type Name = keyof typeof plays;

/** A while at the worst: a call without an answer takes 8 s, and there are five rounds of it. */
const A_MINUTE = 60_000;
const results = new Map<Name, PlayResult>();
let server: TestRedis;

beforeAll(async () => {
  server = await startRedis();
  const names = Object.keys(plays) as Name[];
  await Promise.all(
    names.map(async (name, n) => {
      results.set(name, await playFault(server, 1_400_002_000 + n, plays[name]));
    }),
  );
}, 400_000);
afterAll(() => server.stop());

function resultOf(name: Name): PlayResult {
  const result = results.get(name);
  if (result === undefined) throw new Error(`${name} was not played`);
  return result;
}

describe.each(Object.keys(plays) as Name[])('%s', (name) => {
  it('the innocent are imported within a minute, and none of them is dead-lettered', () => {
    const { innocents, innocentsImported, innocentsMs, innocentLetters } = resultOf(name);
    expect([innocentsImported, innocentLetters]).toEqual([innocents, []]);
    expect(innocentsMs).toBeLessThan(A_MINUTE);
  });
});

describe('a fault that follows one user', () => {
  it.each(['page', 'silence', 'account'] as const)('costs few calls: %s', (name) => {
    // The first call, two more of it, 14 to tell them apart, the culprit's own, and that of the other fifty.
    expect(resultOf(name).calls).toBeLessThanOrEqual(30);
  });

  it('ends with a letter of the profile if that is the fault, and the account is there', () => {
    expect(resultOf('page').culprits).toEqual(['profile 0 403 with account']);
    expect(resultOf('pageAmongSignups').culprits).toEqual(['profile 0 404 with account']);
  });

  it('ends with the answer if it does not pass and is about the account', () => {
    expect(resultOf('appCode').culprits).toEqual(['unknown 60021 200 without account']);
  });

  it('is retried alone if it may pass, with an account as soon as the profile is the fault', () => {
    expect(resultOf('account').culprits).toEqual(['open with 0 others without account']);
    expect(resultOf('silence').culprits).toEqual(['open with 0 others with account']);
    for (const culprit of [...resultOf('several').culprits, ...resultOf('throttle').culprits])
      expect(culprit).toMatch(/^open with \d others with account$/);
  });

  it('holds nobody for long', () => {
    for (const name of ['page', 'silence', 'account', 'throttle'] as const)
      expect(resultOf(name).heldMs).toBeLessThan(10_000);
  });
});

describe('what everybody gets', () => {
  it('is a hold with few probes, not a search', () => {
    expect(resultOf('everybody').calls).toBeLessThanOrEqual(20);
    expect(resultOf('everybody').heldMs).toBeGreaterThan(15_000);
    expect(resultOf('everybody').log.filter((line) => line.includes('all calls are held')).length).toBe(2);
  });

  it('too often for everybody lowers the rate, and lays no fault at the door of anyone', () => {
    const { calls, culprits } = resultOf('everybodyThrottled');
    // Two records, each at the lowest rate of either command.
    expect([calls < 200, culprits]).toEqual([true, []]);
  });
});

it('a size that is refused is split at once, and the others go through', () => {
  expect(resultOf('size')).toMatchObject({ heldMs: 0, singleCalls: 0 });
  // Ten KB of a hundred users pass after two halvings. How many calls that makes depends on how the events were cut.
  expect(resultOf('size').mostRefusals).toBeLessThanOrEqual(2);
});
