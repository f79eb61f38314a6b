import { BreakerReporter } from '../../src/delivery/breaker.ts';
import {
  type ApiRequest,
  FIRST_CALL,
  FOLLOW_UP,
  type PendingUser,
} from '../../src/delivery/policy/pending-user.ts';
import type { ValidEntry } from '../../src/event/event.ts';
import { createHoldState, type HoldState } from '../../src/hold/hold-state.ts';
import type { Verdict } from '../../src/im/verdicts.ts';
import type { Suspicion } from '../../src/ledger/record.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { createSlotClient, type Slot, type SlotClient } from '../../src/pace/slot.ts';
import { eventually } from '../support/eventually.ts';
import { nothing } from './settlements.ts';
import { BATCH, SINGLE, type Stage, useStages } from './stage.ts';

const fresh = useStages();
const SPACING = 10_000;

interface Scene {
  readonly stage: Stage;
  readonly hold: HoldState;
  readonly books: Readonly<Record<typeof BATCH | typeof SINGLE, SlotClient>>;
  /** Another run of the same process. */
  breaker(): BreakerReporter;
  readonly signedAnew: () => number;
  /** What was reported: the code, and the new rate or null. */
  readonly throttled: (readonly [number, number | null])[];
}

function scene(): Scene {
  const stage = fresh();
  const { redis, keys } = stage;
  const hold = createHoldState(redis, keys);
  const slotsOf = (command: string) => createSlotClient(redis, keys, command, createRedisClock(), SPACING);
  const books = { [BATCH]: slotsOf(BATCH), [SINGLE]: slotsOf(SINGLE) } as Scene['books'];
  const limiterOf = (command: typeof BATCH | typeof SINGLE) => ({
    command,
    slots: books[command],
    slotQueue: {
      take: never,
      close: never,
      dueMs: null,
    },
  });
  let signed = 0;
  const throttled: [number, number | null][] = [];
  return {
    stage,
    hold,
    books,
    signedAnew: () => signed,
    throttled,
    breaker: () =>
      new BreakerReporter(
        {
          hold,
          limiters: { [BATCH]: limiterOf(BATCH), [SINGLE]: limiterOf(SINGLE) },
          chance: { passed: () => undefined, splitAfter: () => 2, endAfter: () => 3 },
          signAnew: () => {
            signed += 1;
          },
          report: {
            throttled: (_command, verdict, rate) => throttled.push([verdict.errorCode, rate]),
          },
        },
        'c1',
      ),
  };
}

const never = (): never => {
  throw new Error('a breaker takes no slots');
};

function verdict(changes: Partial<Verdict> & Pick<Verdict, 'class'>): Verdict {
  return {
    errorCode: 1,
    errorInfo: 'what it said',
    httpStatus: 200,
    outcomeKnown: true,
    meaning: 'what it means',
    ...changes,
  };
}

function users(count: number, changes: Partial<PendingUser> = {}): PendingUser[] {
  return Array.from({ length: count }, (_, i) => ({
    userId: `user${i}`,
    events: [] as ValidEntry[],
    bare: null,
    inFailAccounts: false,
    exists: false,
    attempts: [],
    suspicion: null,
    ...changes,
  }));
}

function request(count: number, changes: Partial<ApiRequest> = {}): ApiRequest {
  return { command: BATCH, users: users(count), ...FIRST_CALL, ...changes };
}

/** The call of a user who failed so often while others passed. */
function suspectAlone(answer: Pick<Suspicion, 'failures' | 'errorCode' | 'httpStatus'>): ApiRequest {
  const suspicion = { since: 1, errorInfo: '', hasAccount: false, ...answer };
  return request(1, { command: SINGLE, users: users(1, { suspicion }) });
}

function slot(epoch = '0', probe = false): Slot {
  const atRedisMs = Date.now();
  return { atRedisMs, atLocalMs: 0, epoch, probe, heldMs: 0, number: '1', ratePerSecond: 100 };
}

/** A hold, and the slot of its probe. */
async function heldWithProbe({ hold, stage }: Scene): Promise<Slot> {
  await hold.blocked(slot(), { errorCode: 60006, errorInfo: 'x', kind: 'configuration' });
  await stage.redis.hset(stage.keys.hold, 'probeUntil', '99999999999999');
  return slot((await hold.read()).epoch, true);
}

/** What the settlement of a call that proves something does to the fleet; of a record that holds nobody. */
async function settleProof({ stage: { redis, keys } }: Scene, passedAtMs = Date.now()): Promise<void> {
  await redis.hset(`${keys.callPrefix}c1`, { run: 'r', command: BATCH, users: 0, events: 0, class: 'live' });
  expect(await settleRecord(redis, keys, 'c1', 'r', { ...nothing, passedAtMs })).toMatchObject({
    kind: 'settled',
  });
}

const leaseOf = ({ stage }: Scene) => stage.redis.hget(stage.keys.hold, 'probeUntil');
const bad = verdict({ class: 'body' });

describe('an answer of class throttle', () => {
  test('slows its own command, is reported with the new rate, and says nothing about the users', async () => {
    const s = scene();
    const word = await s
      .breaker()
      .report(request(3), verdict({ class: 'throttle', errorCode: 60007, throttles: 'command' }), 0, slot());
    expect(word).toMatchObject({ kind: 'again' });
    expect((await s.books[BATCH].rate()).ratePerSecond).toBeLessThan(60);
    expect((await s.books[SINGLE].rate()).ratePerSecond).toBe(100);
    expect(s.throttled).toEqual([[60007, expect.closeTo(50, 0)]]);
    expect((await s.hold.read()).hold).toBeNull();
  });

  test('of the whole app slows every command', async () => {
    const s = scene();
    await s
      .breaker()
      .report(request(3), verdict({ class: 'throttle', errorCode: 60011, throttles: 'all' }), 0, slot());
    expect((await s.books[BATCH].rate()).ratePerSecond).toBeLessThan(60);
    expect((await s.books[SINGLE].rate()).ratePerSecond).toBeLessThan(60);
  });

  test('with Retry-After: nothing starts before it', async () => {
    const s = scene();
    const told = verdict({ class: 'throttle', throttles: 'command', retryAfterMs: 2_000 });
    const at = slot();
    await s.breaker().report(request(3), told, 0, at);
    const notBefore = Number(await s.stage.redis.hget(`${s.stage.keys.pacePrefix}${BATCH}`, 'notBefore'));
    expect(notBefore / 1000 - at.atRedisMs).toBeGreaterThanOrEqual(1_999);
  });

  test('to the probe: it proves nothing, the next one waits', async () => {
    const s = scene();
    const probe = await heldWithProbe(s);
    await s.breaker().report(request(1), verdict({ class: 'throttle', throttles: 'command' }), 0, probe);
    expect((await s.hold.read()).hold).not.toBeNull();
    expect(await leaseOf(s)).toBeNull();
  });
});

describe('an answer of class app', () => {
  test('holds with its kind, its words without the users, and its gap', async () => {
    const s = scene();
    const word = await s.breaker().report(
      request(2),
      verdict({
        class: 'app',
        errorCode: 70050,
        errorInfo: 'too often, user1',
        holdKind: 'credentials',
        minProbeGapMs: 60_000,
      }),
      0,
      slot(),
    );
    expect(word).toMatchObject({ kind: 'again' });
    const { hold } = await s.hold.read();
    expect(hold).toMatchObject({ errorCode: 70050, kind: 'credentials' });
    expect(hold?.errorInfo).not.toContain('user1');
    expect(hold?.errorInfo).toContain('too often');
    expect((hold?.nextProbeAt ?? 0) - (hold?.since ?? 0)).toBe(60_000);
  });

  test('of no kind of its own is a fault of the configuration; no words of its own, those of the table', async () => {
    const s = scene();
    await s.breaker().report(request(2), verdict({ class: 'app', errorInfo: '' }), 0, slot());
    expect((await s.hold.read()).hold).toMatchObject({ kind: 'configuration', errorInfo: 'what it means' });
  });

  test('an expired signature is made anew once a run before it counts', async () => {
    const s = scene();
    const expired = verdict({ class: 'app', errorCode: 70001, signAnew: true, holdKind: 'credentials' });
    const breaker = s.breaker();
    expect(await breaker.report(request(2), expired, 0, slot())).toMatchObject({ kind: 'again' });
    expect([s.signedAnew(), (await s.hold.read()).hold]).toEqual([1, null]);
    expect(await breaker.report(request(2), expired, 0, slot())).toMatchObject({ kind: 'again' });
    expect([s.signedAnew(), (await s.hold.read()).hold?.errorCode]).toEqual([1, 70001]);
  });

  test('an expired signature of the probe gives the lease back, so that the next goes at once', async () => {
    const s = scene();
    const probe = await heldWithProbe(s);
    await s.breaker().report(request(1), verdict({ class: 'app', signAnew: true }), 0, probe);
    expect(s.signedAnew()).toBe(1);
    expect(await leaseOf(s)).toBeNull();
    expect(await s.stage.redis.hget(s.stage.keys.hold, 'probeGapMs')).toBe('1000');
  });
});

describe('answers that would dead-letter', () => {
  test('count for the brake by their users: five in a row over a hundred hold', async () => {
    const s = scene();
    const breaker = s.breaker();
    for (let i = 0; i < 4; i++)
      expect(await breaker.report(request(25), bad, 0, slot())).toMatchObject({ kind: 'judge' });
    expect(await breaker.report(request(25), bad, 0, slot())).toMatchObject({ kind: 'again', how: 'canary' });
    expect((await s.hold.read()).hold?.kind).toBe('brake');
    // One user alone needs no canary: canaryOf leaves it as it is.
    expect(await breaker.report(request(1), bad, 0, slot())).toMatchObject({ kind: 'again' });
  });

  test('to the probe of a brake kill nobody, and the next probe waits; to that of an outage they end it', async () => {
    const s = scene();
    const breaker = s.breaker();
    for (let i = 0; i < 5; i++) await breaker.report(request(25), bad, 0, slot());
    const { epoch } = await s.hold.read();
    expect(await breaker.report(request(1), bad, 0, slot(epoch, true))).toMatchObject({ kind: 'again' });
    expect((await s.hold.read()).hold?.kind).toBe('brake');

    const other = scene();
    const probe = await heldWithProbe(other);
    expect(await other.breaker().report(request(1), bad, 0, probe)).toMatchObject({ kind: 'judge' });
    expect((await other.hold.read()).hold).toBeNull();
  });

  test('an answer with a success between them does not let it come to that', async () => {
    const s = scene();
    const breaker = s.breaker();
    for (let i = 0; i < 12; i++) {
      expect(await breaker.report(request(50), bad, 0, slot())).toMatchObject({ kind: 'judge' });
      if (i % 4 === 3) {
        expect(await breaker.report(request(50), verdict({ class: 'done' }), 49, slot())).toMatchObject({
          kind: 'passed',
          isTold: false,
        });
        await settleProof(s);
      }
    }
    expect((await s.hold.read()).hold).toBeNull();
  });

  test('everybody in FailAccounts is no success, it counts against them', async () => {
    const s = scene();
    const breaker = s.breaker();
    const words: string[] = [];
    for (let i = 0; i < 5; i++)
      words.push((await breaker.report(request(30), verdict({ class: 'done' }), 30, slot())).kind);
    expect(words).toEqual(['judge', 'judge', 'judge', 'judge', 'again']);
  });

  test.each(['account', 'body', 'unknown'] as const)('of class %s they all count', async (kind) => {
    const s = scene();
    const breaker = s.breaker();
    for (let i = 0; i < 5; i++) await breaker.report(request(30), verdict({ class: kind }), 0, slot());
    expect((await s.hold.read()).hold?.kind).toBe('brake');
  });

  test('calls that only look for the culprits of an earlier answer add no users', async () => {
    const s = scene();
    const breaker = s.breaker();
    for (let i = 0; i < 8; i++) await breaker.report(request(50, { first: false }), bad, 0, slot());
    expect((await s.hold.read()).hold).toBeNull();
  });

  test('users whose call failed before add nobody: a few who are called again and again are not many', async () => {
    const s = scene();
    const breaker = s.breaker();
    const again = { command: SINGLE, ...FIRST_CALL, failures: 1 } as const;
    for (let i = 0; i < 150; i++)
      await breaker.report(request(1, again), verdict({ class: 'unknown' }), 0, slot());
    expect((await s.hold.read()).hold).toBeNull();
  });

  test('an account out of FailAccounts that is refused alone does count', async () => {
    const s = scene();
    const breaker = s.breaker();
    const alone = { command: SINGLE, users: users(1, { inFailAccounts: true }), ...FOLLOW_UP } as const;
    for (let i = 0; i < 99; i++) await breaker.report(alone, bad, 0, slot());
    expect((await s.hold.read()).hold).toBeNull();
    await breaker.report(alone, bad, 0, slot());
    expect((await s.hold.read()).hold?.kind).toBe('brake');
  });
});

describe('transient answers', () => {
  const trouble = verdict({ class: 'retry', errorCode: 70169 });
  const olderTrouble = (s: Scene) => s.stage.redis.hincrby(s.stage.keys.hold, 'troubleSince', -5_000);

  test('are judged while calls succeed, and so is the one that begins the outage', async () => {
    const s = scene();
    const breaker = s.breaker();
    expect(await breaker.report(request(5), trouble, 0, slot())).toMatchObject({ kind: 'judge' });
    await olderTrouble(s);
    await eventually('an outage', async () => {
      expect(await breaker.report(request(5), trouble, 0, slot())).toMatchObject({ kind: 'judge' });
      return (await s.hold.read()).hold !== null;
    });
    expect((await s.hold.read()).hold).toMatchObject({ kind: 'outage', errorCode: 70169 });
  });

  test('in an outage cost no attempt', async () => {
    const s = scene();
    const probe = await heldWithProbe(s);
    expect(await s.breaker().report(request(5), trouble, 0, probe)).toMatchObject({ kind: 'again' });
    expect(await s.breaker().report(request(5), trouble, 0, slot('0'))).toMatchObject({ kind: 'again' });
  });

  test('a success between them ends the trouble', async () => {
    const s = scene();
    const breaker = s.breaker();
    await breaker.report(request(5), trouble, 0, slot());
    await olderTrouble(s);
    expect(await breaker.report(request(5), verdict({ class: 'done' }), 0, slot())).toMatchObject({
      kind: 'passed',
      isTold: false,
    });
    await settleProof(s);
    for (let i = 0; i < 20; i++) await breaker.report(request(5), trouble, 0, slot());
    expect((await s.hold.read()).hold).toBeNull();
  });
});

describe('whose fault it is', () => {
  const passedAt = (s: Scene, ms: number) => s.stage.redis.hset(s.stage.keys.hold, 'passedAt', String(ms));
  const forbidden = verdict({ class: 'app', errorCode: 0, httpStatus: 403 });
  const unexplained = [
    verdict({ class: 'retry', errorCode: 70500 }),
    verdict({ class: 'unknown', errorCode: 79999 }),
    forbidden,
  ];

  test.each(unexplained)(
    '$class: theirs, once a call that started after theirs has passed',
    async (answer) => {
      const s = scene();
      const at = slot();
      await passedAt(s, at.atRedisMs + 1);
      expect(await s.breaker().report(request(5), answer, 0, at)).toEqual({ kind: 'judge', whose: 'theirs' });
      expect((await s.hold.read()).hold).toBeNull();
    },
  );

  test.each(unexplained)(
    '$class: theirs, once others have passed since they failed first',
    async (answer) => {
      const s = scene();
      const at = slot();
      await passedAt(s, at.atRedisMs - 5_000);
      const again = request(5, { failures: 1, failedAtMs: at.atRedisMs - 6_000 });
      expect(await s.breaker().report(again, answer, 0, at)).toEqual({ kind: 'judge', whose: 'theirs' });
      // What has passed before they failed tells nothing.
      const first = request(5, { failures: 1, failedAtMs: at.atRedisMs - 4_000 });
      expect(await s.breaker().report(first, answer, 0, at)).not.toMatchObject({ whose: 'theirs' });
    },
  );

  test('the account quota lets existing accounts pass: what passed proves nothing against others', async () => {
    const s = scene();
    const at = slot();
    await passedAt(s, at.atRedisMs + 1);
    const full = verdict({ class: 'app', errorCode: 70398, holdKind: 'quota' });
    expect(await s.breaker().report(request(5), full, 0, at)).toEqual({ kind: 'again', how: 'canary' });
    expect((await s.hold.read()).hold?.kind).toBe('quota');
  });

  test('a hold that a later call disproves is over, and the next failure of its cause begins none', async () => {
    const s = scene();
    const at = slot();
    expect(await s.breaker().report(request(5), forbidden, 0, at)).toEqual({ kind: 'again', how: 'canary' });
    expect((await s.hold.read()).hold?.kind).toBe('configuration');
    await settleProof(s, at.atRedisMs + 10);
    const { hold, epoch } = await s.hold.read();
    expect(hold).toBeNull();
    const again = request(5, { failures: 1, failedAtMs: at.atRedisMs });
    expect(await s.breaker().report(again, forbidden, 0, slot(epoch))).toEqual({
      kind: 'judge',
      whose: 'theirs',
    });
    expect((await s.hold.read()).hold).toBeNull();
  });

  test('a call that started before the cause of a hold does not end it', async () => {
    const s = scene();
    const at = slot();
    await s.breaker().report(request(5), forbidden, 0, at);
    await settleProof(s, at.atRedisMs - 1);
    expect((await s.hold.read()).hold?.kind).toBe('configuration');
  });

  test('too often, again and again for the same users alone, is no matter of the rate', async () => {
    const s = scene();
    const at = slot();
    await passedAt(s, at.atRedisMs - 1);
    const tooOften = verdict({ class: 'throttle', httpStatus: 429, throttles: 'command' });
    const refused = (failures: number) => request(5, { failures, failedAtMs: at.atRedisMs - 2 });
    expect(await s.breaker().report(refused(4), tooOften, 0, at)).toEqual({ kind: 'judge', whose: 'theirs' });
    expect((await s.books[BATCH].rate()).ratePerSecond).toBe(100);
    expect(await s.breaker().report(refused(0), tooOften, 0, at)).toEqual({
      kind: 'again',
      how: 'failed',
      afterMs: 0,
    });
    expect((await s.books[BATCH].rate()).ratePerSecond).toBeLessThan(60);
    const lowered = (await s.books[BATCH].rate()).ratePerSecond;
    // The rate was lowered for these users before.
    expect(await s.breaker().report(refused(2), tooOften, 0, slot())).toEqual({
      kind: 'again',
      how: 'failed',
      afterMs: 0,
    });
    expect((await s.books[BATCH].rate()).ratePerSecond).toBeGreaterThanOrEqual(lowered);
  });

  test('a suspect that fails as before, however often, says nothing about the fleet', async () => {
    const s = scene();
    const breaker = s.breaker();
    const alone = suspectAlone({ failures: 1, errorCode: 70500, httpStatus: 200 });
    const trouble = verdict({ class: 'retry', errorCode: 70500 });
    // Nobody else fails, and nobody passes either.
    for (let i = 0; i < 5; i++)
      expect(await breaker.report(alone, trouble, 0, slot())).toEqual({ kind: 'judge', whose: 'lone' });
    expect(await s.stage.redis.hkeys(s.stage.keys.hold)).toEqual([]);
    expect((await s.hold.read()).hold).toBeNull();
    // Somebody else fails, too, and nobody has passed since: it may be everybody.
    await breaker.report(request(5), trouble, 0, slot());
    expect(await breaker.report(alone, trouble, 0, slot())).toEqual({ kind: 'judge', whose: 'unknown' });
    // A fault of the app that is new is one, whoever tells it.
    expect(
      await breaker.report(
        alone,
        verdict({ class: 'app', errorCode: 70003, holdKind: 'credentials' }),
        0,
        slot(),
      ),
    ).toMatchObject({ kind: 'again' });
    expect((await s.hold.read()).hold?.errorCode).toBe(70003);
  });

  test('a suspect who was proved says nothing about the fleet with any code, but an expired signature is renewed', async () => {
    const s = scene();
    const breaker = s.breaker();
    const alone = suspectAlone({ failures: 3, errorCode: 0, httpStatus: 403 });
    const app = verdict({ class: 'app', errorCode: 70003, holdKind: 'credentials' });
    expect(await breaker.report(alone, app, 0, slot())).toMatchObject({ kind: 'judge' });
    expect((await s.hold.read()).hold).toBeNull();
    await breaker.report(alone, { ...app, errorCode: 70001, signAnew: true }, 0, slot());
    expect(s.signedAnew()).toBe(1);
  });

  test('a suspect as the probe of a hold: the next probe follows soon, and the gap does not grow', async () => {
    const s = scene();
    const breaker = s.breaker();
    const alone = suspectAlone({ failures: 3, errorCode: 0, httpStatus: 403 });
    const probe = await heldWithProbe(s);
    await s.stage.redis.hset(s.stage.keys.hold, 'probeGapMs', '15000');
    await breaker.report(alone, verdict({ class: 'app', errorCode: 0, httpStatus: 403 }), 0, probe);
    expect(await s.stage.redis.hget(s.stage.keys.hold, 'probeGapMs')).toBe('15000');
    const { nextProbeAt = 0 } = (await s.hold.read()).hold ?? {};
    expect(nextProbeAt - Date.now()).toBeLessThan(2_000);
  });

  test('a refusal that names the account leaves a suspect as it was: its failures still count', async () => {
    const s = scene();
    const breaker = s.breaker();
    const alone = suspectAlone({ failures: 1, errorCode: 79999, httpStatus: 200 });
    const unlisted = verdict({ class: 'unknown', errorCode: 79999 });
    await breaker.report(request(1), verdict({ class: 'account', errorCode: 70399 }), 0, slot());
    await breaker.report(request(2), verdict({ class: 'done' }), 2, slot());
    expect(await breaker.report(alone, unlisted, 0, slot())).toEqual({ kind: 'judge', whose: 'lone' });
    // One that names nobody may be everybody's.
    await breaker.report(request(1), unlisted, 0, slot());
    expect(await breaker.report(alone, unlisted, 0, slot())).toEqual({ kind: 'judge', whose: 'unknown' });
  });
});
