import fc from 'fast-check';
import { deliver, deliverLocal } from '../../src/delivery/deliver.ts';
import type { DeliveryOptions, DeliveryReport } from '../../src/delivery/delivery-options.ts';
import { compareEventIds } from '../../src/event/event.ts';
import type { HoldState } from '../../src/hold/hold-state.ts';
import type { Answer } from '../../src/im/answers.ts';
import type { DeliveryCommand } from '../../src/im/bodies.ts';
import type { ImClient } from '../../src/im/client.ts';
import { cutCalls, type LocalCall } from '../../src/intake/cut.ts';
import { listDeadLetters } from '../../src/ledger/letters/letter-store.ts';
import { redriveUsers } from '../../src/ledger/letters/redrive.ts';
import type { CommandLimiter } from '../../src/pace/open-limiter.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { createSlotClient, type Slot, type SlotClient } from '../../src/pace/slot.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';
import { audit, booksProblems } from '../support/audit.ts';
import { accountsIn, apiAnswer, type SentAccount } from '../support/call-driver.ts';
import { eventually } from '../support/eventually.ts';
import { letterProblems } from '../support/letter-audit.ts';
import { openAdmission } from '../support/open-admission.ts';

/**
 * Random interleavings of everything that can happen to the events of a few shared users, on the real scripts and
 * the real delivery over a real Redis, with the API and the deaths of processes in the model's hands: several runs
 * are under way at a time, calls land and are answered in any order, a run dies before or after any script, its
 * call lands all the same, another run takes the record over, refused users are searched for and asked for, letters
 * are redriven. After every step the books balance; in the end each user has the newest profile that can pass.
 */

const USERS = ['ann', 'bob', 'cyd'] as const;
type User = (typeof USERS)[number];

/**
 * A `bad` profile is always refused, an `invalid` event never sent. In the old form a `robot` goes by the single call, as
 * every profile does; in the current form it is invalid.
 */
type Kind = 'good' | 'bad' | 'invalid' | 'robot';
/** The forms of the calls that an app may play in. */
type Form = 'current' | 'legacy';
/** How a call that is on the wire goes on. */
type Weather = 'fine' | 'failing' | 'listed';

type Step =
  | { readonly do: 'produce'; readonly user: User; readonly kind: Kind }
  | { readonly do: 'cut'; readonly maxUsers: number; readonly localCalls: boolean; readonly stops: number }
  /**
   * Somebody runs a call; stops at its n-th script, before or after it, if `stops` is not 0: for good, or until it is
   * woken. `expires`: what fails in this run is too old to be tried again.
   */
  | {
      readonly do: 'run';
      readonly call: number;
      readonly stops: number;
      readonly after: boolean;
      readonly dies: boolean;
      readonly expires: boolean;
    }
  /**
   * The run of a call that is on the wire dies; others take its record over, hear its users' answers, and are
   * through with a newer event of one of them before that first call lands.
   */
  | { readonly do: 'overtake'; readonly pick: number }
  | { readonly do: 'wake'; readonly pick: number }
  /** Another one takes over the record of a call that is on the wire: its run may be dead, and long ago. */
  | {
      readonly do: 'takeOver';
      readonly pick: number;
      readonly kills: boolean;
      readonly waits: boolean;
      readonly lands: boolean;
    }
  /** A call takes effect; its answer is still on the way. */
  | { readonly do: 'land'; readonly pick: number }
  | { readonly do: 'answer'; readonly pick: number; readonly weather: Weather }
  | { readonly do: 'kill'; readonly pick: number }
  /** So long that what is on the wire has landed or never will. */
  | { readonly do: 'wait'; readonly lands: boolean }
  | { readonly do: 'redrive'; readonly users: readonly User[] };

const user = fc.constantFrom(...USERS);
const pick = fc.nat(30);
const flag = fc.boolean();
const a = fc.constant;
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: a('produce' as const),
      user,
      kind: fc.constantFrom<Kind>('good', 'good', 'good', 'good', 'bad', 'invalid', 'robot'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: a('cut' as const),
      maxUsers: fc.integer({ min: 1, max: 3 }),
      localCalls: fc.boolean(),
      stops: fc.constantFrom(0, 0, 0, 1, 2, 3),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: a('run' as const),
      call: pick,
      stops: fc.constantFrom(0, 0, 0, 0, 1, 2, 2, 3, 4),
      after: flag,
      dies: flag,
      expires: flag,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: a('takeOver' as const),
      pick,
      kills: flag,
      waits: fc.constantFrom(true, false, false),
      lands: flag,
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: a('land' as const), pick }) },
  {
    weight: 7,
    arbitrary: fc.record({
      do: a('answer' as const),
      pick,
      weather: fc.constantFrom<Weather>('fine', 'fine', 'fine', 'failing', 'listed'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: a('kill' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ do: a('overtake' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ do: a('wake' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ do: a('wait' as const), lands: flag }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: a('redrive' as const), users: fc.uniqueArray(user, { minLength: 1 }) }),
  },
);
const plays = fc.array(step, { minLength: 15, maxLength: 60, size: 'max' });

/** One run of a call, by a process of its own. */
interface Run {
  dead: boolean;
  ended: boolean;
  /** Set while it stands still. */
  wake: (() => void) | undefined;
  /** Commands under way, and slots in hand: what it does by itself. */
  busy: number;
}

/** A call on the wire. */
interface Flight {
  readonly run: Run;
  readonly callId: string;
  readonly accounts: readonly SentAccount[];
  readonly command: string;
  readonly answer: (answer: Answer) => void;
  landed: Answer | undefined;
  answered: boolean;
}

const number = (nick: string): number => Number(nick.split('-')[1]);
const NOBODY: Answer = {
  kind: 'api',
  httpStatus: 200,
  errorCode: 0,
  errorInfo: '',
  failAccounts: [],
  body: { ResultItem: [] },
};

class World {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly profiles = new Map<string, string>();
  readonly backwards: string[] = [];
  readonly best = new Map<string, string>();
  readonly broken: string[] = [];
  produced = 0;
  runs: Run[] = [];
  /** Calls taken in hand so far. */
  taken = 0;
  flights: Flight[] = [];

  readonly form: Form;

  constructor(redis: RedisClient, keys: Keys, form: Form) {
    this.redis = redis;
    this.keys = keys;
    this.form = form;
  }

  /** What the API makes of a call when it takes effect. */
  land(flight: Flight, weather: Weather): Answer {
    if (flight.landed !== undefined) return flight.landed;
    flight.landed = this.effect(flight, weather);
    return flight.landed;
  }

  effect({ command, accounts }: Flight, weather: Weather): Answer {
    if (command === 'account_check') return NOBODY;
    if (weather === 'failing') return apiAnswer(70500);
    const bad = accounts.filter(({ Nick }) => Nick?.startsWith('bad'));
    if (bad.length > 0 && weather !== 'listed') return apiAnswer(40005);
    const failed = weather === 'listed' && accounts.length > 1 ? accounts.slice(0, 1) : [];
    if (bad.length > 0 && accounts.length === 1) return apiAnswer(40005);
    const refused = new Set([...failed, ...bad].map(({ UserID }) => UserID));
    for (const { UserID, Nick } of accounts) {
      if (refused.has(UserID) || Nick === undefined) continue;
      const before = this.profiles.get(UserID);
      if (before !== undefined && number(Nick) < number(before))
        this.backwards.push(`${UserID}: ${before} then ${Nick}`);
      this.profiles.set(UserID, Nick);
    }
    return apiAnswer(0, [...refused]);
  }

  /** A connection of a process that may stop between two scripts: for good, or until it is woken. */
  connectionOf(run: Run, stops: number, after: boolean, dies: boolean): RedisClient {
    let scripts = 0;
    const stop = (): Promise<void> => {
      run.dead = dies;
      return new Promise((resolve) => {
        run.wake = () => {
          run.wake = undefined;
          if (!run.dead) resolve();
        };
      });
    };
    const mortal =
      (name: 'evalsha' | 'eval') =>
      async (...args: unknown[]): Promise<unknown> => {
        const isIt = name === 'evalsha' && ++scripts === stops;
        if (isIt && !after) await stop();
        if (run.dead) await stop();
        run.busy++;
        const reply = await Reflect.apply(this.redis[name], this.redis, args).finally(() => run.busy--);
        if (isIt && after) await stop();
        if (run.dead) await stop();
        return reply;
      };
    return new Proxy(this.redis, {
      get: (target, name) =>
        name === 'evalsha' || name === 'eval' ? mortal(name) : Reflect.get(target, name, target),
    });
  }

  start(
    callId: string,
    stops = 0,
    after = false,
    dies = false,
    expires = false,
    localCalls?: LocalCall,
  ): void {
    const run: Run = { dead: false, ended: false, wake: undefined, busy: 1 };
    this.runs.push(run);
    const redis = this.connectionOf(run, stops, after, dies);
    const limiter = (command: DeliveryCommand): CommandLimiter => {
      const slots = createSlotClient(redis, this.keys, command, createRedisClock(), 1);
      return { command, slots: quiet(slots, run), slotQueue: dispenserOf(slots, run) };
    };
    const options: DeliveryOptions = {
      redis,
      keys: this.keys,
      client: this.clientOf(run, callId),
      limiters: {
        multiaccount_import: limiter('multiaccount_import'),
        account_import: limiter('account_import'),
        account_check: limiter('account_check'),
      },
      // No brake, no outage: the model's API is as bad as it likes.
      hold: answering<HoldState>('noted'),
      watch: { isCurrent: () => true, heardOf: () => undefined, onChange: () => undefined },
      admission: openAdmission,
      commands: { form: this.form, batch: 'multiaccount_import', single: 'account_import' },
      overrides: {},
      batchSize: { saw: () => undefined, tooLarge: () => undefined },
      chance: { passed: () => undefined, splitAfter: () => 2, endAfter: () => 3 },
      rules: { adminId: 'administrator', form: this.form },
      onProfileFault: 'import-bare',
      retry: { baseMs: 1, maxMs: 1, maxAgeMs: expires ? -1 : 86_400_000 },
      random: () => 0,
      signAnew: () => undefined,
      readSecretAnew: () => undefined,
      allOutcomes: false,
      handOver: async () => undefined,
      report: answering<DeliveryReport>(undefined),
    };
    const delivered =
      localCalls === undefined
        ? deliver(options, callId, 'live')
        : deliverLocal(options, localCalls, () => undefined);
    void delivered
      .catch((error: Error) => this.broken.push(error.message))
      .finally(() => {
        run.ended = true;
        run.busy = 0;
      });
    run.busy--;
  }

  clientOf(run: Run, callId: string): Pick<ImClient, 'prepare'> {
    return {
      prepare: (command, body) => ({
        connected: Promise.resolve(true),
        isConnected: () => true,
        abandon: () => undefined,
        send: () => {
          run.busy--;
          return new Promise((resolve) => {
            const answer = (told: Answer): void => {
              run.busy++;
              resolve(told);
              // What it does with the answer begins with a script, or ends it.
              setImmediate(() => setImmediate(() => run.busy--));
            };
            const accounts = accountsIn(body);
            this.flights.push({ run, callId, command, accounts, answer, landed: undefined, answered: false });
          });
        },
      }),
    };
  }

  /** Until nobody does anything by themselves any more. */
  async quiet(): Promise<void> {
    await eventually(
      'every run waits, has ended or is dead',
      async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return this.runs.every(
          ({ busy, dead, ended, wake }) => ended || dead || wake !== undefined || busy === 0,
        );
      },
      20_000,
      1,
    );
    this.runs = this.runs.filter(({ ended }) => !ended);
  }

  open(): Flight[] {
    return this.flights.filter(({ answered }) => !answered);
  }

  async step(next: Step): Promise<void> {
    const { redis, keys } = this;
    switch (next.do) {
      case 'produce': {
        const nick = `${next.kind}-${++this.produced}`;
        const more = { good: [], bad: [], invalid: ['occurredAt', 'never'], robot: ['type', '1'] }[next.kind];
        await redis.xadd(keys.stream, '*', 'userId', next.user, 'nick', nick, ...more);
        const isSent = next.kind === 'good' || (next.kind === 'robot' && this.form === 'legacy');
        if (isSent) this.best.set(next.user, nick);
        return;
      }
      case 'cut':
        await this.cut(next.maxUsers, next.localCalls, next.stops);
        return;
      case 'run': {
        const open = await redis.zrange(keys.open, '0', '-1');
        const callId = open[next.call % Math.max(1, open.length)];
        if (callId !== undefined) this.start(callId, next.stops, next.after, next.dies, next.expires);
        return;
      }
      case 'takeOver': {
        const flying = this.open();
        const flight = flying[next.pick % Math.max(1, flying.length)];
        if (flight === undefined) return;
        if (next.kills) flight.run.dead = true;
        if (next.waits) await this.wait(next.lands);
        this.start(flight.callId);
        return;
      }
      case 'overtake': {
        const flying = this.open();
        const flight = flying[next.pick % Math.max(1, flying.length)];
        const userId = flight?.accounts[0]?.UserID;
        if (flight === undefined || userId === undefined) return;
        flight.run.dead = true;
        this.start(flight.callId);
        await this.answerAll();
        await this.step({ do: 'produce', user: userId as User, kind: 'good' });
        await this.cut(3);
        for (const callId of await redis.zrange(keys.open, '0', '-1')) this.start(callId);
        await this.answerAll();
        this.land(flight, 'fine');
        flight.answered = true;
        return;
      }
      case 'land': {
        // Those of the dead first: nobody waits for them but time.
        const flying = this.open().filter(({ landed }) => landed === undefined);
        const dead = flying.filter(({ run }) => run.dead);
        const from = dead.length > 0 ? dead : flying;
        const flight = from[next.pick % Math.max(1, from.length)];
        if (flight !== undefined) this.land(flight, 'fine');
        return;
      }
      case 'answer': {
        const heard = this.open().filter(({ run }) => !run.dead);
        const flight = heard[next.pick % Math.max(1, heard.length)];
        if (flight === undefined) return;
        flight.answered = true;
        flight.answer(this.land(flight, next.weather));
        return;
      }
      case 'kill': {
        const living = this.runs.filter(({ dead }) => !dead);
        const run = living[next.pick % Math.max(1, living.length)];
        if (run !== undefined) run.dead = true;
        return;
      }
      case 'wake': {
        const asleep = this.runs.filter(({ dead, wake }) => !dead && wake !== undefined);
        asleep[next.pick % Math.max(1, asleep.length)]?.wake?.();
        return;
      }
      case 'wait':
        return this.wait(next.lands);
      case 'redrive':
        await redriveUsers(
          { redis, keys },
          {
            users: next.users,
            by: 'test',
            batchCommand: 'multiaccount_import',
            singleCommand: 'account_import',
            maxOpenCalls: 1_000,
            dryRun: false,
            early: true,
            invalid: false,
          },
        );
    }
  }

  /** Until nobody who lives waits for an answer. */
  async answerAll(): Promise<void> {
    for (let round = 0; round < 20; round++) {
      await this.quiet();
      const heard = this.open().filter(({ run }) => !run.dead);
      if (heard.length === 0) return;
      for (const flight of heard) {
        flight.answered = true;
        flight.answer(this.land(flight, 'fine'));
      }
    }
  }

  /** Whatever is on the wire has landed or never will; records know of it by the time that has passed. */
  async wait(lands: boolean): Promise<void> {
    for (const flight of this.open()) {
      if (flight.landed === undefined) flight.landed = lands ? this.effect(flight, 'fine') : apiAnswer(70500);
      if (flight.run.dead) flight.answered = true;
    }
    for (const callId of await this.redis.zrange(this.keys.open, '0', '-1')) {
      const key = this.keys.callPrefix + callId;
      const [sentAt, dueAt] = await this.redis.hmget(key, 'sentAt', 'dueAt');
      if (sentAt) await this.redis.hset(key, 'sentAt', String(Number(sentAt) - 60_000));
      if (dueAt) await this.redis.hset(key, 'dueAt', '0');
    }
  }

  /** `localCalls`: the batch call is worked off by its cutter, which may stop on the way. */
  async cut(maxUsers: number, localCalls = false, stops = 0): Promise<void> {
    const limits = {
      batchCommand: 'multiaccount_import',
      singleCommand: 'account_import',
      alone: this.form === 'legacy' ? 'profile-or-robot' : 'nobody',
      maxUsers,
      maxWaitMs: 0,
      eagerCalls: 1_000,
      eagerGapMs: 0,
      maxOpenCalls: 1_000,
    } as const;
    if (!localCalls) {
      await cutCalls(this, limits);
      return;
    }
    this.taken += 1;
    const answer = await cutCalls(this, limits, `hand-${this.taken}`);
    if (answer.kind === 'cut' && answer.local !== undefined)
      this.start(answer.local.record.callId, stops, false, stops > 0, false, answer.local);
  }

  /** Until nothing is on its way: the dead stay dead, those asleep wake up, and the API is well. */
  async drain(): Promise<void> {
    const { redis, keys } = this;
    for (let round = 0; round < 500; round++) {
      for (const { wake } of this.runs) wake?.();
      for (const flight of this.open()) {
        flight.answered = true;
        if (!flight.run.dead) flight.answer(this.land(flight, 'fine'));
      }
      await this.quiet();
      await this.cut(4);
      const open = await redis.zrange(keys.open, '0', '-1');
      const waiting = (await redis.xlen(keys.stream)) + (await redis.llen(keys.returned));
      if (open.length === 0 && waiting === 0 && this.open().length === 0) return;
      if (this.open().length > 0) continue;
      await this.wait(true);
      for (const callId of open) this.start(callId);
      await this.quiet();
    }
    throw new Error('what waits does not drain');
  }

  async problems(thorough: boolean): Promise<string[]> {
    const { redis, keys } = this;
    return [
      ...this.broken,
      ...this.backwards,
      ...(await booksProblems(redis, keys)),
      ...(thorough ? (await audit(redis, keys)).problems : []),
      ...(thorough ? await letterProblems(redis, keys) : []),
    ];
  }
}

/** A slot that is given up is in nobody's hands any more. */
function quiet(slots: SlotClient, run: Run): SlotClient {
  return {
    ...slots,
    giveUp: async (slot) => {
      run.busy--;
      await slots.giveUp(slot);
    },
  };
}

function dispenserOf(slots: SlotClient, run: Run): CommandLimiter['slotQueue'] {
  return {
    take: async (candidate) => {
      run.busy++;
      for (;;) {
        const answer = await slots.ask([candidate]);
        if (answer.kind === 'lost') {
          setImmediate(() => setImmediate(() => run.busy--));
          return 'lost';
        }
        if (answer.kind === 'slot') return atOnce(answer.slot);
      }
    },
    close: () => undefined,
    dueMs: null,
  };
}

/** Pace is not what this is about. */
function atOnce(slot: Slot): Slot {
  return { ...slot, atLocalMs: performance.now() };
}

function answering<T extends object>(answer: unknown): T {
  return new Proxy({}, { get: () => async () => answer }) as T;
}

async function playOne(
  redis: RedisClient,
  keys: Keys,
  form: Form,
  steps: readonly Step[],
): Promise<string[]> {
  await redis.flushall();
  for (const command of ['multiaccount_import', 'account_import', 'account_check'])
    await redis.hset(keys.pacePrefix + command, 'next', '0');
  const world = new World(redis, keys, form);
  const isNeverSent = form === 'legacy' ? /^(bad|invalid)-/ : /^(bad|invalid|robot)-/;
  for (const [i, next] of steps.entries()) {
    await world.step(next);
    await world.quiet();
    const problems = await world.problems(i % 4 === 3);
    if (problems.length > 0) return [`after step ${i}, ${JSON.stringify(next)}`, ...problems];
  }
  await world.drain();
  await world.step({ do: 'redrive', users: USERS });
  await world.drain();
  const problems = await world.problems(true);
  for (const [userId, nick] of world.best) {
    const has = world.profiles.get(userId);
    if (has !== nick) problems.push(`${userId} has ${has}, newest is ${nick}`);
  }
  for await (const { eventId, userId, event, resolvedBy } of listDeadLetters({ redis, keys })) {
    if (!isNeverSent.test(event.nick ?? '')) problems.push(`${eventId} of ${userId} (${event.nick}) is dead`);
    if (resolvedBy && compareEventIds(resolvedBy, eventId) < 0)
      problems.push(`${eventId} was resolved by an older`);
  }
  return problems;
}

/** Plays so many of them; rejects with the shortest one in which a promise breaks. */
export async function playInterleavings(
  redis: RedisClient,
  keys: Keys,
  options: {
    readonly runs: number;
    readonly seed: number;
    readonly form: Form;
    readonly onPlayed?: () => void;
  },
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(plays, async (steps) => {
      const problems = await playOne(redis, keys, options.form, steps);
      options.onPlayed?.();
      if (problems.length > 0) throw new Error(problems.join('\n'));
    }),
    { seed: options.seed, numRuns: options.runs, endOnFailure: false },
  );
}
