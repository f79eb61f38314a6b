import type { RuleAction } from '../../simulator/scenario/rule-action.ts';
import type { Rule } from '../../simulator/scenario/scenario.ts';
import { createHoldState } from '../../src/hold/hold-state.ts';
import { VERDICT_TABLES, type VerdictRow } from '../../src/im/verdict-rows.ts';
import { eventually } from '../support/eventually.ts';
import { type Lane, startLane } from '../support/lane.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

/**
 * Every documented answer, injected into a running worker's calls; then where each account and event ended.
 */

const LANES = 10;
const imports = ['multiaccount_import', 'account_import'];
const hosted = { identifierType: 3 as const, password: 'Secret-123' };

let server: TestRedis;
let lanes: Lane[];
let hostedLane: Lane;
const free: Lane[] = [];

beforeAll(async () => {
  server = await startRedis();
  lanes = await Promise.all(
    Array.from({ length: LANES }, (_, i) =>
      startLane({ server, sdkAppId: 1_400_000_100 + i, env: { IMSYNC_CALL_TIMEOUT_MS: '3001' } }),
    ),
  );
  hostedLane = await startLane({ server, sdkAppId: 1_400_000_200, form: 'hosted' });
  free.push(...lanes);
});

afterAll(async () => {
  await Promise.all([...lanes, hostedLane].map((lane) => lane.stop()));
  await server.stop();
});

interface Row {
  readonly lane: Lane;
  /** Users of the row's own. */
  readonly users: readonly [string, string, string];
  /** Adds the three users, with nicks, in one go. */
  addAll(): Promise<string[]>;
  fault(...rules: Rule[]): void;
  /** Calls of the row, by command. */
  calls(): Record<string, number>;
  /** Waits for the end of all, and checks that nothing is left behind; gives who has an account. */
  ends(): Promise<string[]>;
}

let rows = 0;

async function onLane(lane: Lane, play: (row: Row) => Promise<void>): Promise<void> {
  const mark = `r${rows++}_`;
  const users = [`${mark}a`, `${mark}b`, `${mark}c`] as const;
  const since = lane.simulator.calls().at(-1)?.seq ?? 0;
  const extra = lane === hostedLane ? hosted : {};
  try {
    await play({
      lane,
      users,
      addAll: () => lane.add(users.map((userId) => ({ userId, nick: `Nick of ${userId}`, ...extra }))),
      fault: (...rules) => lane.simulator.setFaults({ rules }),
      calls() {
        const counts: Record<string, number> = {};
        for (const { seq, command } of lane.simulator.calls()) {
          if (seq > since) counts[command] = (counts[command] ?? 0) + 1;
        }
        return counts;
      },
      async ends() {
        await lane.drained();
        expect(
          await eventually('nothing is left', async () => {
            const left = await lane.leftovers();
            return left.length === 0 ? 'nothing' : null;
          }),
        ).toBe('nothing');
        return users.filter((userId) => lane.simulator.accounts.has(userId));
      },
    });
  } finally {
    lane.simulator.setFaults({});
  }
}

/** Plays a row on a lane that is free, so that rows that wait do not wait for each other. */
async function onFreeLane(play: (row: Row) => Promise<void>): Promise<void> {
  const lane = await eventually('a lane is free', () => free.pop());
  try {
    await onLane(lane, play);
  } finally {
    free.push(lane);
  }
}

const whole = (action: RuleAction, match: Rule['match'] = {}): Rule => ({ match, action });

/** The whole call is answered so once: tried again later, everybody imported, an attempt counted. */
async function passes(row: Row, command: string, action: RuleAction, extraCalls = 1): Promise<void> {
  row.fault(whole(action, { command, times: 1 }));
  await row.addAll();
  expect(await row.ends()).toEqual(row.users);
  for (const user of row.users) expect(await row.lane.letters(user)).toEqual([]);
  const perRound = command === 'register_account_v1' ? 3 : 1;
  expect(row.calls()[command]).toBe(perRound + extraCalls);
}

/** One of three is refused for good, however it is asked: the others are imported by the way. */
async function refusesOne(row: Row, code: number, commands: readonly string[]): Promise<void> {
  const [a, b, c] = row.users;
  row.fault(whole({ accountCode: code, errorInfo: `no to ${code}` }, { command: commands, userIds: [b] }));
  const [, eventId] = await row.addAll();
  expect(await row.ends()).toEqual([a, c]);
  const [letter, ...more] = await row.lane.letters(b);
  expect(more).toEqual([]);
  expect(letter).toMatchObject({
    eventId,
    userId: b,
    reason: 'rejected',
    errorCode: code,
    errorInfo: `no to ${code}`,
  });
  const attempts = letter.attempts as { errorCode: number; command: string }[];
  expect(attempts.map(({ errorCode }) => errorCode)).toEqual(commands.map(() => code));
  // Refused alone, never by conclusion.
  expect(attempts.at(-1)?.command).toBe(commands.at(-1));
}

/** Everything is answered so until it is mended: held, nothing dead, no attempt spent, then all imported. */
async function holdsAll(row: Row, action: RuleAction, spec: Partial<VerdictRow>): Promise<void> {
  const { lane } = row;
  const hold = createHoldState(lane.redis, lane.keys);
  const deadBefore = (await lane.books()).deadLettered;
  row.fault(whole(action));
  await row.addAll();
  const held = await eventually('calls are held', async () => (await hold.read()).hold);
  expect(held.kind).toBe(spec.holdKind);
  if (spec.minProbeGapMs !== undefined) {
    expect(held.nextProbeAt - held.since).toBeGreaterThanOrEqual(spec.minProbeGapMs);
  }
  expect((await lane.books()).deadLettered).toBe(deadBefore);
  for (const key of await lane.redis.keys(`${lane.keys.callPrefix}*`)) {
    expect([null, '0']).toContain(await lane.redis.hget(key, 'tries'));
  }
  lane.simulator.setFaults({});
  // Time passes: whoever waits longer than a moment for the next probe finds it due.
  await lane.redis.hset(lane.keys.hold, 'nextProbeAt', '0');
  expect(await row.ends()).toEqual(row.users);
  await eventually('the hold is over', async () => (await hold.read()).hold === null);
  for (const user of row.users) expect(await lane.letters(user)).toEqual([]);
}

function play(row: Row, { class: verdict, ...spec }: VerdictRow, code: number): Promise<void> {
  switch (verdict) {
    case 'retry':
    case 'throttle':
      return passes(row, 'multiaccount_import', { errorCode: code });
    case 'app':
      return holdsAll(row, { errorCode: code }, spec);
    case 'body':
    case 'account':
      return spec.profileFault ? refusesProfile(row, code) : refusesOne(row, code, imports);
    default:
      return passes(row, 'multiaccount_import', { latencyMs: [0, 0] }, 0);
  }
}

/** One of three has a profile that is refused: the account comes without it, the event as a letter. */
async function refusesProfile(row: Row, code: number): Promise<void> {
  const [, b] = row.users;
  row.fault(whole({ accountCode: code }, { userIds: [b], timesPerAccount: 2 }));
  const [, eventId] = await row.addAll();
  expect(await row.ends()).toEqual(row.users);
  expect(row.lane.simulator.accounts.get(b)?.nick).toBeUndefined();
  const [letter, ...more] = await row.lane.letters(b);
  expect(more).toEqual([]);
  expect(letter).toMatchObject({ eventId, userId: b, reason: 'profile', errorCode: code });
  expect(letter.event.nick).toBe(`Nick of ${b}`);
  // The batch, the three of it alone, and the one without its profile.
  expect(row.calls()).toEqual({ multiaccount_import: 1, account_import: 4 });
}

const importRows = VERDICT_TABLES.multiaccount_import.flatMap((row) =>
  row.codes.map((code) => [code, row.class, row] as const),
);

describe('import calls', () => {
  it.concurrent.each(importRows)('%i: %s', (code, _class, spec) =>
    onFreeLane(async (row) => {
      await play(row, spec, code);
      if (spec.notBeforeMonths === undefined) return;
      const [letter] = await row.lane.letters(row.users[1]);
      const first = new Date(letter.firstSeenAt);
      first.setUTCMonth(first.getUTCMonth() + 3);
      expect(letter.notBefore).toBe(first.getTime());
    }),
  );

  it.concurrent.each([
    ['HTTP 502', { httpStatus: 502 }],
    ['HTTP 500, though it was done', { httpStatus: 500, work: 'at-arrival' }],
    ['HTTP 408', { httpStatus: 408 }],
    ['HTTP 429', { httpStatus: 429, retryAfterSeconds: 1 }],
    ['no answer in time', { hangMs: -1 }],
    ['a reset before the work', { reset: 'before' }],
    ['a reset after the work', { reset: 'after' }],
    ['half an answer', { truncate: true }],
    ['a page instead of an answer', { garbage: true }],
    ['a code that nobody knows', { errorCode: 79999 }],
  ] as [string, RuleAction][])('%s, once: tried again', (_name, action) =>
    onFreeLane((row) => passes(row, 'multiaccount_import', action)),
  );

  it.concurrent.each([403, 404, 301])('HTTP %i: held', (httpStatus) =>
    onFreeLane((row) => holdsAll(row, { httpStatus }, { holdKind: 'configuration' })),
  );

  it.concurrent('a code that nobody knows, for one account: tried, then dead-lettered alone', () =>
    onFreeLane(async (row) => {
      const [a, b, c] = row.users;
      row.fault(whole({ accountCode: 79998, errorInfo: 'new rule' }, { userIds: [b] }));
      await row.addAll();
      expect(await row.ends()).toEqual([a, c]);
      const [letter] = await row.lane.letters(b);
      expect(letter).toMatchObject({ reason: 'unknown', errorCode: 79998, errorInfo: 'new rule' });
      const attempts = (letter.attempts as { command: string }[]).map(({ command }) => command);
      const alone = attempts.filter((command) => command === 'account_import');
      expect(attempts[0]).toBe('multiaccount_import');
      expect(attempts.at(-1)).toBe('account_import');
      expect(alone.length).toBeGreaterThanOrEqual(3);
      expect(attempts.length - alone.length).toBeLessThanOrEqual(3);
    }));
});

describe('register_account_v1', () => {
  const own = VERDICT_TABLES.register_account_v1.filter(({ source }) =>
    source.includes('register_account_v1'),
  );

  it.each(own.flatMap((row) => row.codes.map((code) => [code, row.class, row] as const)))(
    '%i: %s',
    (code, _class, spec) =>
      onLane(hostedLane, async (row) => {
        if (spec.class === 'app') return holdsAll(row, { errorCode: code }, spec);
        if (spec.class === 'retry') return passes(row, 'register_account_v1', { errorCode: code });
        if (spec.class !== 'done') return refusesOne(row, code, ['register_account_v1']);
        row.fault(whole({ errorCode: code }, { userIds: [row.users[1]] }));
        await row.addAll();
        await row.ends();
        for (const user of row.users) expect(await row.lane.letters(user)).toEqual([]);
        expect(row.calls()).toEqual({ register_account_v1: 3 });
      }),
  );
});
