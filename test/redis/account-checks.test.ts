import type { Scenario } from '../../simulator/scenario/scenario.ts';
import type { Simulator } from '../../simulator/simulator.ts';
import { createHoldState } from '../../src/hold/hold-state.ts';
import { watchHold } from '../../src/hold/hold-watch.ts';
import { createImClient, type ImClient } from '../../src/im/client.ts';
import { spacingMicros } from '../../src/pace/budget.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { createSlotClient } from '../../src/pace/slot.ts';
import { SlotQueue } from '../../src/pace/slot-queue.ts';
import { AccountChecks } from '../../src/tasks/check-users.ts';
import { eventually } from '../support/eventually.ts';
import {
  apiError,
  type Gateway,
  type GatewayAnswer,
  type GatewayRule,
  page,
  startGateway,
} from '../support/gateway.ts';
import { callUrl, postJson, simulatorForTest, TEST_APP, userSigForTest } from '../support/simulator.ts';
import { type Stage, useStages } from './stage.ts';

const fresh = useStages();
let simulator: Simulator;
let gateway: Gateway;
const open: { checks: AccountChecks; client: ImClient }[] = [];

beforeAll(async () => {
  simulator = await simulatorForTest();
  gateway = await startGateway(simulator.url);
});
afterEach(() => {
  for (const { checks, client } of open.splice(0)) {
    checks.close();
    client.close();
  }
  gateway.setRule(undefined);
  simulator.setFaults({});
  simulator.reset();
});
afterAll(async () => {
  await gateway.close();
  await simulator.close();
});

interface Asker extends Stage {
  readonly checks: AccountChecks;
  /** The error code of each call that was repeated after a wait. */
  readonly again: number[];
  signatures: number;
}

async function asker(
  options: {
    perSecond?: number;
    maxFailures?: number;
    sig?: () => string;
    missFirst?: boolean;
    callTimeoutMs?: number;
    behindGateway?: boolean;
  } = {},
): Promise<Asker> {
  const stage = fresh();
  const { redis, keys } = stage;
  await redis.hset(`${keys.pacePrefix}account_check`, 'next', '0');
  const watch = await watchHold(stage.connect(), keys);
  const spacing = spacingMicros({ perSecond: options.perSecond ?? 100, share: 1, margin: 0.01 });
  const slots = createSlotClient(redis, keys, 'account_check', createRedisClock(), spacing);
  const again: number[] = [];
  const client = createImClient({
    baseUrl: options.behindGateway ? gateway.url : simulator.url,
    sdkAppId: TEST_APP.sdkAppId,
    adminId: TEST_APP.adminId,
    userSig: options.sig ?? (() => userSigForTest()),
    callTimeoutMs: options.callTimeoutMs ?? 5_000,
  });
  const own: { signatures: number } = { signatures: 0 };
  const slotQueue = new SlotQueue({
    slots,
    watch,
    onUnusedProbe: async () => undefined,
    onTrouble: () => undefined,
  });
  let misses = options.missFirst === true ? 1 : 0;
  /** Moves the slot into the past, as after a pause of the process. */
  const take: typeof slotQueue.take = async (candidate) => {
    const slot = await slotQueue.take(candidate);
    return typeof slot === 'string' || misses-- <= 0 ? slot : { ...slot, atLocalMs: slot.atLocalMs - 10_000 };
  };
  const checks = new AccountChecks({
    client,
    limiter: {
      command: 'account_check',
      slots,
      slotQueue: {
        take,
        close: () => slotQueue.close(),
        dueMs: null,
      },
    },
    watch,
    slotClass: 'redrive',
    otherSlots: [createSlotClient(redis, keys, 'multiaccount_import', createRedisClock(), spacing)],
    overrides: {},
    signAnew: () => own.signatures++,
    ...(options.maxFailures !== undefined && { maxFailures: options.maxFailures }),
    random: () => 0,
    report: { again: ({ errorCode }) => again.push(errorCode), answered: () => undefined },
  });
  open.push({ checks, client });
  return Object.assign(own, { ...stage, checks, again });
}

async function importAccounts(...userIds: string[]): Promise<void> {
  const AccountList = userIds.map((UserID) => ({ UserID }));
  expect(
    (await postJson(callUrl(simulator.url, 'multiaccount_import'), { AccountList })).json.ErrorCode,
  ).toBe(0);
}

function calls(): number {
  return simulator.report().commands.account_check?.calls ?? 0;
}

test('tells which accounts exist, 100 in one call', async () => {
  await importAccounts('a', 'b');
  const { checks } = await asker();
  const others = Array.from({ length: 98 }, (_, i) => `nobody${i}`);
  const found = await checks.ask(['a', ...others, 'b']);
  expect(found.size).toBe(100);
  expect(found.get('a')).toEqual({ kind: 'imported' });
  expect(found.get('b')).toEqual({ kind: 'imported' });
  for (const other of others) expect(found.get(other)).toEqual({ kind: 'missing' });
  expect(calls()).toBe(1);
}, 60_000);

test('keeps the quota of account_check over two processes', async () => {
  const one = await asker({ perSecond: 20 });
  // Another process of the same app.
  const watch = await watchHold(one.connect(), one.keys);
  const slots = createSlotClient(
    one.connect(),
    one.keys,
    'account_check',
    createRedisClock(),
    1_000_000 / 19.8,
  );
  const other = new SlotQueue({
    slots,
    watch,
    onUnusedProbe: async () => undefined,
    onTrouble: () => undefined,
  });
  const taken: number[] = [];
  const takes = Array.from({ length: 40 }, async () => {
    const slot = await other.take({ callId: '', run: '', slotClass: 'redrive' });
    if (typeof slot !== 'string') taken.push(slot.atRedisMs);
  });
  await Promise.all([...takes, ...Array.from({ length: 40 }, (_, i) => one.checks.ask([`u${i}`]))]);
  other.close();
  const arrived = simulator.calls().map(({ arrivedAtMs }) => arrivedAtMs);
  expect(arrived).toHaveLength(40);
  const all = [...arrived, ...taken].sort((a, b) => a - b);
  // 80 starts take 79 gaps in all. With a budget of its own each process would take half of the time. A busy
  // machine notes arrivals late, by less than four gaps.
  expect((all.at(-1) ?? 0) - (all[0] ?? 0)).toBeGreaterThan(75 * (1_000 / 19.8));
}, 60_000);

test('waits out a transient answer and asks again', async () => {
  // The first one is the user's; the others ask for nobody, to learn whether anybody passes.
  simulator.setFaults({ rules: [{ match: { times: 3 }, action: { errorCode: 70169 } }] } as Scenario);
  const { checks, again } = await asker();
  const startedMs = performance.now();
  expect((await checks.ask(['a'])).get('a')).toEqual({ kind: 'missing' });
  expect(again).toEqual([70169, 70169]);
  // Two waits of at least half a second. A timer may fire a millisecond early.
  expect(performance.now() - startedMs).toBeGreaterThan(990);
}, 60_000);

test('gives up a missed slot, which counts as no call, and takes another one', async () => {
  const { checks, redis, keys } = await asker({ missFirst: true });
  expect((await checks.ask(['a'])).get('a')).toEqual({ kind: 'missing' });
  expect(calls()).toBe(1);
  expect(await redis.zcard(`${keys.startedPrefix}account_check`)).toBe(1);
}, 60_000);

test('rejects after maxFailures failures', async () => {
  simulator.setFaults({ rules: [{ action: { errorCode: 70169 } }] } as Scenario);
  const { checks } = await asker({ maxFailures: 1 });
  await expect(checks.ask(['a'])).rejects.toMatchObject({
    name: 'ChecksRefusedError',
    verdict: { errorCode: 70169 },
  });
  expect(calls()).toBe(2);
}, 60_000);

test('a throttle lowers the shared rate, of all commands if it is about all', async () => {
  simulator.setFaults({ rules: [{ match: { times: 1 }, action: { errorCode: 60011 } }] } as Scenario);
  const { checks, redis, keys } = await asker();
  expect((await checks.ask(['a'])).get('a')).toEqual({ kind: 'missing' });
  for (const command of ['account_check', 'multiaccount_import'])
    expect(await redis.hexists(keys.pacePrefix + command, 'cutAt')).toBe(1);
}, 60_000);

test('a fault of the app at the first call ends the checks; a later one is waited out, and secrets are read again', async () => {
  let sig = userSigForTest({ secretKey: 'another key altogether' });
  const asking = await asker({ sig: () => sig });
  await expect(asking.checks.ask(['a'])).rejects.toMatchObject({
    name: 'ChecksRefusedError',
    verdict: { class: 'app', holdKind: 'credentials' },
  });
  sig = userSigForTest();
  await asking.checks.ask(['a']);
  const before = asking.signatures;
  sig = userSigForTest({ secretKey: 'another key altogether' });
  const later = asking.checks.ask(['b']);
  await eventually('told', () => asking.again.length > 0);
  expect(asking.signatures).toBeGreaterThan(before);
  sig = userSigForTest();
  expect((await later).get('b')).toEqual({ kind: 'missing' });
  // The checks set no hold.
  expect((await createHoldState(asking.redis, asking.keys).read()).hold).toBeNull();
}, 60_000);

test('an expired signature is renewed at once, the first time', async () => {
  simulator.setFaults({ rules: [{ match: { times: 1 }, action: { errorCode: 70001 } }] } as Scenario);
  const asking = await asker();
  expect((await asking.checks.ask(['a'])).get('a')).toEqual({ kind: 'missing' });
  expect([asking.signatures, asking.again]).toEqual([1, []]);
}, 60_000);

test('20 refusals in a row end the checks; a success resets their count', async () => {
  const { checks } = await asker();
  const refuse = (times: number) =>
    simulator.setFaults({ rules: [{ match: { times }, action: { errorCode: 70402 } }] } as Scenario);
  for (let round = 0; round < 2; round++) {
    refuse(19);
    for (let i = 0; i < 19; i++)
      expect((await checks.ask(['a'])).get('a')).toMatchObject({ kind: 'refused' });
    expect((await checks.ask(['a'])).get('a')).toEqual({ kind: 'missing' });
  }
  // A known account is refused, too, so the accounts are not the cause.
  refuse(10_000);
  await expect(checks.ask(Array.from({ length: 32 }, (_, i) => `u${i}`))).rejects.toMatchObject({
    name: 'ChecksRefusedError',
    verdict: { errorCode: 70402 },
  });
}, 60_000);

test('one refused account does not affect the verdicts of the others', async () => {
  await importAccounts('u7');
  simulator.setFaults({
    rules: [{ match: { command: 'account_check', userIds: ['u13'] }, action: { errorCode: 70402 } }],
  } as Scenario);
  const { checks } = await asker();
  const found = await checks.ask(Array.from({ length: 32 }, (_, i) => `u${i}`));
  expect(found.get('u13')).toMatchObject({ kind: 'refused', errorCode: 70402 });
  expect(found.get('u7')).toEqual({ kind: 'imported' });
  expect([...found.values()].filter(({ kind }) => kind === 'missing')).toHaveLength(30);
}, 60_000);

test('an account with a code of its own is refused with that code after three tries', async () => {
  simulator.setFaults({
    rules: [{ match: { userIds: ['odd'] }, action: { accountCode: 70500 } }],
  } as Scenario);
  const { checks } = await asker();
  const found = await checks.ask(['odd', 'even']);
  expect(found.get('odd')).toMatchObject({ kind: 'refused', errorCode: 70500 });
  expect(found.get('even')).toEqual({ kind: 'missing' });
  expect(calls()).toBe(3);
}, 60_000);

test('sends nothing while paused, goes on when resumed, and rejects waiting asks when closed', async () => {
  const { checks, redis, keys } = await asker();
  const hold = createHoldState(redis, keys);
  await hold.pause('a test', 1);
  const asked = checks.ask(['a']);
  await eventually('it has asked for its slot', async () => (await redis.hget(keys.hold, 'paused')) !== null);
  expect(calls()).toBe(0);
  await hold.resume();
  await asked;
  await hold.pause('a test', 1);
  const waiting = checks.ask(['b']);
  checks.close();
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  expect(calls()).toBe(1);
}, 60_000);

/** Hundreds of IDs, as `imsync import` and `imsync verify` ask for them: all at the same time. */
function hundreds(count: number): string[][] {
  return Array.from({ length: count }, (_, batch) => Array.from({ length: 100 }, (_, i) => `u${batch}-${i}`));
}

async function askAll({ checks }: Asker, batches: readonly (readonly string[])[]) {
  const answers = await Promise.all(batches.map((userIds) => checks.ask(userIds)));
  return new Map(answers.flatMap((found) => [...found]));
}

/** Answers each call that holds one of the IDs. Counts them. */
function failing(ids: readonly string[], answer: GatewayAnswer): GatewayRule & { calls: number } {
  const bad = new Set(ids);
  const rule: GatewayRule & { calls: number } = Object.assign(
    ({ userIds }: { userIds: readonly string[] }) => {
      if (!userIds.some((userId) => bad.has(userId))) return undefined;
      rule.calls++;
      return answer;
    },
    { calls: 0 },
  );
  gateway.setRule(rule);
  return rule;
}

describe('a fault that follows one user ends with that user, and the others get their verdict', () => {
  const answers: [string, GatewayAnswer, RegExp][] = [
    ['403', page(403), /^HTTP 403/],
    ['70500', apiError(70500), /70500/],
    ['silence', { kind: 'silence' }, /no answer in time/],
    ['a connection that breaks', { kind: 'reset' }, /broke/],
    ['503', page(503), /^HTTP 503/],
    ['70003', apiError(70003), /70003/],
    ['a code of no table', apiError(79999), /79999/],
    ['70402', apiError(70402), /70402/],
    ['429', page(429), /^HTTP 429/],
  ];
  const places = ['u0-13', 'u3-50'];
  test.each(
    answers.flatMap(([name, answer, words]) => places.map((id) => [name, id, answer, words] as const)),
  )(
    '%s for %s of 500',
    async (_name, bad, answer, words) => {
      const asking = await asker({ behindGateway: true, callTimeoutMs: 400 });
      const rule = failing([bad], answer);
      const found = await askAll(asking, hundreds(5));
      expect(found.size).toBe(500);
      expect(found.get(bad)).toMatchObject({ kind: 'refused', errorInfo: expect.stringMatching(words) });
      expect([...found.values()].filter(({ kind }) => kind === 'missing')).toHaveLength(499);
      expect(rule.calls).toBeLessThanOrEqual(14);
      // Five hundreds, and what tells the users of one apart.
      expect(gateway.calls().length - before()).toBeLessThanOrEqual(5 + 30);
    },
    60_000,
  );

  let callsBefore = 0;
  beforeEach(() => {
    callsBefore = gateway.calls().length;
  });
  const before = (): number => callsBefore;

  test('of 3 users and nobody else, then of one', async () => {
    const asking = await asker({ behindGateway: true });
    failing(['b'], page(403));
    const found = await asking.checks.ask(['a', 'b', 'c']);
    expect([...found].map(([userId, { kind }]) => [userId, kind]).sort()).toEqual([
      ['a', 'missing'],
      ['b', 'refused'],
      ['c', 'missing'],
    ]);
    const another = await asker({ behindGateway: true });
    expect((await another.checks.ask(['b'])).get('b')).toMatchObject({ kind: 'refused' });
  }, 60_000);

  test('several in each hundred', async () => {
    const asking = await asker({ behindGateway: true });
    const batches = hundreds(4);
    const bad = batches.flatMap((batch) => [3, 4, 25, 47, 68, 99].map((i) => batch[i] as string));
    failing(bad, page(403));
    const found = await askAll(asking, batches);
    const refused = [...found].filter(([, { kind }]) => kind === 'refused').map(([userId]) => userId);
    expect(refused.sort()).toEqual([...bad].sort());
    expect([...found.values()].filter(({ kind }) => kind === 'missing')).toHaveLength(400 - bad.length);
  }, 60_000);

  test('forty refused with 70402 one after the other', async () => {
    const asking = await asker({ behindGateway: true });
    const [batch = []] = hundreds(1);
    failing(batch.slice(20, 60), apiError(70402));
    const found = await askAll(asking, [batch]);
    expect([...found.values()].filter(({ kind }) => kind === 'refused')).toHaveLength(40);
    expect([...found.values()].filter(({ kind }) => kind === 'missing')).toHaveLength(60);
  }, 60_000);
});

describe('what everybody gets blames nobody', () => {
  test('a fault of the app at the very first calls ends them', async () => {
    const asking = await asker({ behindGateway: true });
    gateway.setRule(() => page(403));
    await expect(askAll(asking, hundreds(5))).rejects.toMatchObject({
      name: 'ChecksRefusedError',
      verdict: { class: 'app', httpStatus: 403 },
    });
  }, 60_000);

  test('a transient fault of everybody, while the very first call of one user gets 403', async () => {
    const asking = await asker({ behindGateway: true });
    const untilMs = performance.now() + 2_000;
    gateway.setRule(({ userIds, atMs }) => {
      if (userIds.includes('u0-13')) return page(403);
      return atMs < untilMs ? apiError(70500) : undefined;
    });
    const found = await askAll(asking, hundreds(2));
    expect(found.get('u0-13')).toMatchObject({ kind: 'refused' });
    expect([...found.values()].filter(({ kind }) => kind === 'missing')).toHaveLength(199);
  }, 60_000);

  test.each([
    ['403', page(403)],
    ['70500', apiError(70500)],
    ['silence', { kind: 'silence' } as const],
  ])(
    '%s for 4 s, while users are told apart: all the others get their verdict afterwards',
    async (_name, answer) => {
      const asking = await asker({ behindGateway: true, callTimeoutMs: 400 });
      await asking.checks.ask(['known']);
      let calls = 0;
      let endsAtMs = Number.POSITIVE_INFINITY;
      gateway.setRule(({ userIds, atMs }) => {
        const isBad = userIds.includes('u1-7');
        // It begins when the first part of the hundred has failed.
        if (isBad && ++calls === 3) endsAtMs = atMs + 4_000;
        return isBad || (calls >= 3 && atMs < endsAtMs) ? answer : undefined;
      });
      const found = await askAll(asking, hundreds(3));
      expect(found.get('u1-7')).toMatchObject({ kind: 'refused' });
      expect([...found.values()].filter(({ kind }) => kind === 'missing')).toHaveLength(299);
    },
    120_000,
  );

  test('outages one after the other, which the calls of one user meet each time', async () => {
    const asking = await asker({ behindGateway: true });
    let calls = 0;
    // The user's call and the next one for nobody fail; the second one for nobody passes. Four times.
    gateway.setRule(() => (++calls <= 12 && calls % 3 !== 0 ? apiError(70500) : undefined));
    expect((await asking.checks.ask(['a'])).get('a')).toEqual({ kind: 'missing' });
    expect(calls).toBe(13);
  }, 60_000);

  test('every fifth call fails by chance', async () => {
    const asking = await asker({ behindGateway: true });
    let calls = 0;
    gateway.setRule(() => (++calls % 5 === 0 ? apiError(70500) : undefined));
    const found = await askAll(asking, hundreds(10));
    expect([...found.values()].filter(({ kind }) => kind === 'missing')).toHaveLength(1_000);
  }, 120_000);
});

test('a close while users are told apart rejects at once', async () => {
  const asking = await asker({ behindGateway: true });
  failing(['u0-1'], page(503));
  const asked = askAll(asking, hundreds(2));
  await eventually('it is waiting', () => asking.again.length > 0);
  asking.checks.close();
  await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
}, 60_000);
