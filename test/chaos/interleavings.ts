import fc from 'fast-check';
import { type DeliveryOptions, type DeliveryReport, deliver } from '../../src/delivery/deliver.ts';
import type { Line } from '../../src/delivery/place-call.ts';
import { compareEventIds } from '../../src/event/event-id.ts';
import type { Answer } from '../../src/im/answers.ts';
import type { DeliveryCommand } from '../../src/im/bodies.ts';
import type { ImClient } from '../../src/im/client.ts';
import { cutCalls } from '../../src/intake/cut.ts';
import { listDeadLetters } from '../../src/ledger/letter-store.ts';
import { redriveUsers } from '../../src/ledger/redrive.ts';
import type { HoldState } from '../../src/pace/hold-state.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { createSlotBook, type Slot, type SlotBook } from '../../src/pace/slot.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';
import { audit, booksProblems } from '../support/audit.ts';
import { apiAnswer, type SentAccount } from '../support/call-driver.ts';
import { eventually } from '../support/eventually.ts';
import { letterProblems } from '../support/letter-audit.ts';

/**
 * Random interleavings of everything that can happen to the events of a few shared users, on the real scripts and
 * the real delivery over a real Redis, with the API and the deaths of processes in the model's hands: several runs
 * are under way at a time, calls land and are answered in any order, a run dies before or after any script, its
 * call lands all the same, another run takes the record over, refused users are searched for and asked for, letters
 * are redriven. After every step the books balance; in the end each user has the newest profile that can pass.
 */

const USERS = ['ann', 'bob', 'cyd', 'dan'] as const;
type User = (typeof USERS)[number];

/** A `bad` profile is always refused, an `invalid` event never sent; `robot` goes by the single call. */
type Kind = 'good' | 'bad' | 'invalid' | 'robot';
/** How a call that is on the wire goes on. */
type Weather = 'fine' | 'failing' | 'listed' | 'expiring';

type Step =
  | { readonly do: 'produce'; readonly user: User; readonly kind: Kind }
  | { readonly do: 'cut'; readonly maxUsers: number }
  /** Somebody runs a call; dies at its n-th script, before or after it, if `dies` is not 0. */
  | { readonly do: 'run'; readonly call: number; readonly dies: number; readonly after: boolean }
  /** A call takes effect; its answer is still on the way. */
  | { readonly do: 'land'; readonly pick: number }
  | { readonly do: 'answer'; readonly pick: number; readonly weather: Weather }
  | { readonly do: 'kill'; readonly pick: number }
  /** So long that what is on the wire has landed or never will. */
  | { readonly do: 'wait'; readonly lands: boolean }
  | { readonly do: 'redrive'; readonly users: readonly User[]; readonly dies: boolean };

const user = fc.constantFrom(...USERS);
const index = fc.nat(30);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('produce' as const),
      user,
      kind: fc.constantFrom<Kind>('good', 'good', 'good', 'good', 'bad', 'invalid', 'robot'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('cut' as const), maxUsers: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('run' as const),
      call: index,
      dies: fc.constantFrom(0, 0, 0, 1, 2, 3, 4),
      after: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('land' as const), pick: index }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      pick: index,
      weather: fc.constantFrom<Weather>('fine', 'fine', 'fine', 'failing', 'listed', 'expiring'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), pick: index }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), lands: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('redrive' as const),
      users: fc.uniqueArray(user, { minLength: 1 }),
      dies: fc.boolean(),
    }),
  },
);
const plays = fc.array(step, { minLength: 8, maxLength: 45, size: 'max' });

/** One run of a call, by a process of its own. */
interface Run {
  dead: boolean;
  ended: boolean;
  /** Commands under way, and slots in hand: what it does by itself. */
  busy: number;
}

/** A call on the wire. */
interface Flight {
  readonly run: Run;
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
  flights: Flight[] = [];
  /** Every user of these is refused with FailAccounts in batches, this one step. */
  expiring = false;

  constructor(redis: RedisClient, keys: Keys) {
    this.redis = redis;
    this.keys = keys;
  }

  /** What the API makes of a call when it takes effect. */
  land(flight: Flight, weather: Weather): Answer {
    if (flight.landed !== undefined) return flight.landed;
    flight.landed = this.effect(flight, weather);
    return flight.landed;
  }

  effect({ command, accounts }: Flight, weather: Weather): Answer {
    if (command === 'account_check') return NOBODY;
    if (weather === 'failing' || weather === 'expiring') return apiAnswer(70500);
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

  /** A connection of a process that may die between two scripts: then it hears nothing any more. */
  connectionOf(run: Run, dies: number, after: boolean): RedisClient {
    let scripts = 0;
    const never = new Promise<never>(() => undefined);
    const call = async (name: 'evalsha' | 'eval', args: readonly unknown[]): Promise<unknown> => {
      if (run.dead) return never;
      const last = ++scripts === dies;
      if (last && !after) {
        run.dead = true;
        return never;
      }
      run.busy++;
      try {
        return await Reflect.apply(this.redis[name], this.redis, args);
      } finally {
        run.busy--;
        if (last) run.dead = true;
      }
    };
    const mortal =
      (name: 'evalsha' | 'eval') =>
      async (...args: unknown[]) => {
        const reply = await call(name, args);
        return run.dead ? never : reply;
      };
    return new Proxy(this.redis, {
      get: (target, name) =>
        name === 'evalsha' || name === 'eval' ? mortal(name) : Reflect.get(target, name, target),
    });
  }

  start(callId: string, dies: number, after: boolean): void {
    const run: Run = { dead: false, ended: false, busy: 1 };
    this.runs.push(run);
    const redis = this.connectionOf(run, dies, after);
    const line = (command: DeliveryCommand): Line => {
      const book = createSlotBook(redis, this.keys, command, createRedisClock(), 1);
      return { command, book: quiet(book, run), dispenser: dispenserOf(book, run) };
    };
    const options: DeliveryOptions = {
      redis,
      keys: this.keys,
      client: this.clientOf(run),
      lines: {
        multiaccount_import: line('multiaccount_import'),
        account_import: line('account_import'),
        account_check: line('account_check'),
      },
      // No brake, no outage: the model's API is as bad as it likes.
      hold: answering<HoldState>('noted'),
      watch: { isCurrent: () => true, heardOf: () => undefined, onChange: () => undefined },
      commands: { form: 'current', batch: 'multiaccount_import', single: 'account_import' },
      overrides: {},
      culprits: { share: () => 0, saw: () => undefined },
      rules: { adminId: 'administrator', hosted: false },
      onProfileFault: 'import-bare',
      retry: { baseMs: 1, maxMs: 1, maxAgeMs: this.expiring ? -1 : 86_400_000 },
      random: () => 0,
      signAnew: () => undefined,
      readSecretAnew: () => undefined,
      report: answering<DeliveryReport>(undefined),
    };
    void deliver(options, callId)
      .catch((error: Error) => this.broken.push(error.message))
      .finally(() => {
        run.ended = true;
        run.busy = 0;
      });
    run.busy--;
  }

  clientOf(run: Run): ImClient {
    return {
      prepare: (command, body) => ({
        connected: Promise.resolve(true),
        isConnected: true,
        abandon: () => undefined,
        send: () => {
          const json = JSON.parse(body) as { AccountList?: SentAccount[] } & SentAccount;
          run.busy--;
          return new Promise((resolve) => {
            const answer = (told: Answer): void => {
              run.busy++;
              resolve(told);
              // What it does with the answer begins with a script, or ends it.
              setImmediate(() => setImmediate(() => run.busy--));
            };
            const accounts = json.AccountList ?? [json];
            this.flights.push({ run, command, accounts, answer, landed: undefined, answered: false });
          });
        },
      }),
      close: () => undefined,
    };
  }

  /** Until nobody does anything by themselves any more. */
  async quiet(): Promise<void> {
    await eventually(
      'every run waits, has ended or is dead',
      async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return this.runs.every(({ busy, dead, ended }) => ended || dead || busy === 0);
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
        if (next.kind === 'good' || next.kind === 'robot') this.best.set(next.user, nick);
        return;
      }
      case 'cut':
        await this.cut(next.maxUsers);
        return;
      case 'run': {
        const open = await redis.zrange(keys.open, '0', '-1');
        const callId = open[next.call % Math.max(1, open.length)];
        if (callId !== undefined) this.start(callId, next.dies, next.after);
        return;
      }
      case 'land': {
        const flying = this.open().filter(({ landed }) => landed === undefined);
        const flight = flying[next.pick % Math.max(1, flying.length)];
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
      case 'wait':
        return this.wait(next.lands);
      case 'redrive':
        await redriveUsers(redis, keys, {
          users: next.users,
          by: 'test',
          batchCommand: 'multiaccount_import',
          singleCommand: 'account_import',
          maxOpenCalls: 1_000,
          dryRun: false,
          early: true,
          invalid: false,
        });
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

  async cut(maxUsers: number): Promise<void> {
    const limits = {
      batchCommand: 'multiaccount_import',
      singleCommand: 'account_import',
      alone: 'robot',
      maxUsers,
      maxWaitMs: 0,
      eagerCalls: 1_000,
      maxOpenCalls: 1_000,
    } as const;
    await cutCalls(this.redis, this.keys, limits, 'test');
  }

  /** Until nothing is on its way: the dead stay dead, and the API is well. */
  async drain(): Promise<void> {
    const { redis, keys } = this;
    for (let round = 0; round < 500; round++) {
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
      for (const callId of open) this.start(callId, 0, false);
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
function quiet(book: SlotBook, run: Run): SlotBook {
  return {
    ...book,
    giveUp: async (slot) => {
      run.busy--;
      await book.giveUp(slot);
    },
  };
}

function dispenserOf(book: SlotBook, run: Run): Line['dispenser'] {
  return {
    take: async (candidate) => {
      run.busy++;
      for (;;) {
        const answer = await book.ask([candidate]);
        if (answer.kind === 'lost') {
          setImmediate(() => setImmediate(() => run.busy--));
          return 'lost';
        }
        if (answer.kind === 'slot') return atOnce(answer.slot);
      }
    },
    close: () => undefined,
    pulse: { dueMs: null },
  };
}

/** Pace is not what this is about. */
function atOnce(slot: Slot): Slot {
  return { ...slot, atLocalMs: performance.now() };
}

function answering<T extends object>(answer: unknown): T {
  return new Proxy({}, { get: () => async () => answer }) as T;
}

async function playOne(redis: RedisClient, keys: Keys, steps: readonly Step[]): Promise<string[]> {
  await redis.flushall();
  for (const command of ['multiaccount_import', 'account_import', 'account_check'])
    await redis.hset(keys.pacePrefix + command, 'next', '0');
  const world = new World(redis, keys);
  for (const [i, next] of steps.entries()) {
    world.expiring = next.do === 'run' && next.call % 7 === 0;
    await world.step(next);
    await world.quiet();
    const problems = await world.problems(i % 4 === 3);
    if (problems.length > 0) return [`after step ${i}, ${JSON.stringify(next)}`, ...problems];
  }
  await world.drain();
  await world.step({ do: 'redrive', users: USERS, dies: false });
  await world.drain();
  const problems = await world.problems(true);
  for (const [userId, nick] of world.best) {
    const has = world.profiles.get(userId);
    if (has !== nick) problems.push(`${userId} has ${has}, newest is ${nick}`);
  }
  const newest = new Map<string, string>();
  for await (const { eventId, userId, event, resolvedBy } of listDeadLetters(redis, keys)) {
    if (!/^(bad|invalid)-/.test(event.nick ?? ''))
      problems.push(`${eventId} of ${userId} (${event.nick}) is dead`);
    if (resolvedBy && compareEventIds(resolvedBy, eventId) < 0)
      problems.push(`${eventId} was resolved by an older`);
    newest.set(userId, eventId);
  }
  return problems;
}

/** Plays so many of them; rejects with the shortest one in which a promise breaks. */
export async function playInterleavings(
  redis: RedisClient,
  keys: Keys,
  options: { readonly runs: number; readonly seed: number; readonly onPlayed?: () => void },
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(plays, async (steps) => {
      const problems = await playOne(redis, keys, steps);
      options.onPlayed?.();
      if (problems.length > 0) throw new Error(problems.join('\n'));
    }),
    { seed: options.seed, numRuns: options.runs, endOnFailure: false },
  );
}
