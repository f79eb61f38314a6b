import fc from 'fast-check';
import { compareEventIds } from '../../src/event/event.ts';
import { listDeadLetters } from '../../src/ledger/letters/letter-store.ts';
import { redriveUsers } from '../../src/ledger/letters/redrive.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { audit, booksProblems } from '../support/audit.ts';
import { apiAnswer, type CallDriver, createCallDriver, type SentAccount } from '../support/call-driver.ts';
import { letterProblems } from '../support/letter-audit.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

/**
 * Promise 3 with redrives: whatever the order in which events are produced, cut, refused, retried, given up,
 * redriven and interrupted, the API's profile of a user never goes back to an older event, and ends as the newest
 * that could be imported. The books balance after every step.
 */
const keys = keysOf(1400000000);
const users = ['ann', 'bob', 'cyd'] as const;
type User = (typeof users)[number];

/**
 * A `bad` profile is always refused, an `invalid` event never sent. In the old form a `robot` goes by the single call, as
 * every profile does; in the current form it is invalid.
 */
type Kind = 'good' | 'bad' | 'invalid' | 'robot';
type Form = 'current' | 'legacy';

/** How the API fares in one run of a call. */
type Weather =
  /** All that can be imported is. */
  | 'fine'
  /** Every event that was not imported yet is refused, for good. */
  | 'refusing'
  /** A passing error: the record is kept, or its events expire. */
  | 'failing'
  | 'expiring'
  /** What can be imported is, but the process dies before it hears. */
  | 'deaf';

type Small =
  | { readonly do: 'produce'; readonly user: User; readonly kind: Kind }
  | { readonly do: 'cut' }
  | { readonly do: 'redrive'; readonly users: readonly User[]; readonly invalid: boolean };
type Step =
  | Small
  /** `meanwhile` happens while the run's first call is on the wire; `stolen`: another run takes the record then. */
  | {
      readonly do: 'run';
      readonly pick: number;
      readonly weather: Weather;
      readonly meanwhile: readonly Small[];
      readonly stolen: boolean;
    };

let server: TestRedis;
let redis: RedisClient;

beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
});
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

/** The API and what was sent to it. */
class World {
  readonly profiles = new Map<string, string>();
  /** Once the API has taken an event it does not refuse that event later. */
  readonly taken = new Set<string>();
  readonly best = new Map<string, string>();
  readonly backwards: string[] = [];
  weather: Weather = 'fine';
  meanwhile: (() => Promise<void>) | undefined;
  readonly form: Form;
  readonly driver: CallDriver;

  constructor(form: Form) {
    this.form = form;
    const api: Parameters<typeof createCallDriver>[2] = async (_command, accounts) => {
      const answer = this.answer(accounts);
      const meanwhile = this.meanwhile;
      this.meanwhile = undefined;
      await meanwhile?.();
      if (answer === undefined) throw new Error('the process dies');
      return answer;
    };
    this.driver = createCallDriver(redis, keys, api, 'noted', form);
  }

  answer(accounts: readonly SentAccount[]) {
    if (this.weather === 'failing' || this.weather === 'expiring') return apiAnswer(70500);
    if (accounts.some(({ Nick }) => Nick?.startsWith('bad'))) return apiAnswer(40005);
    if (
      this.weather === 'refusing' &&
      accounts.some((account) => !this.taken.has(account.Nick ?? account.UserID))
    )
      return apiAnswer(70402);
    for (const { UserID, Nick } of accounts) {
      this.taken.add(Nick ?? UserID);
      if (Nick === undefined) continue;
      const before = this.profiles.get(UserID);
      if (before !== undefined && number(Nick) < number(before))
        this.backwards.push(`${UserID}: ${before} then ${Nick}`);
      this.profiles.set(UserID, Nick);
    }
    return this.weather === 'deaf' ? undefined : apiAnswer(0);
  }

  produced = 0;
  async produce(user: User, kind: Kind): Promise<void> {
    const nick = `${kind}-${++this.produced}`;
    const more = { good: [], bad: [], invalid: ['occurredAt', 'never'], robot: ['type', '1'] }[kind];
    await redis.xadd(keys.stream, '*', 'userId', user, 'nick', nick, ...more);
    if (kind === 'good' || (kind === 'robot' && this.form === 'legacy')) this.best.set(user, nick);
  }

  async small(step: Small): Promise<void> {
    if (step.do === 'produce') await this.produce(step.user, step.kind);
    else if (step.do === 'cut') await this.driver.cut();
    else await redrive(step.users, step.invalid);
  }

  async run(callId: string, weather: Weather): Promise<void> {
    this.weather = weather;
    await this.driver.run(callId, weather === 'expiring' ? -1 : undefined).catch((error: Error) => {
      if (error.message !== 'the process dies') throw error;
    });
  }

  async step(step: Step): Promise<void> {
    if (step.do !== 'run') return this.small(step);
    const open = await redis.zrange(keys.open, '0', '-1');
    const callId = open[step.pick % Math.max(1, open.length)];
    if (callId === undefined) return;
    this.meanwhile = async () => {
      for (const small of step.meanwhile) await this.small(small);
      if (step.stolen) await this.run(callId, 'fine');
    };
    await this.run(callId, step.weather);
    this.meanwhile = undefined;
  }

  /** Until nothing is on its way. */
  async drain(): Promise<void> {
    for (;;) {
      await this.driver.cut();
      const open = await redis.zrange(keys.open, '0', '-1');
      if (open.length === 0 && (await redis.xlen(keys.stream)) + (await redis.llen(keys.returned)) === 0)
        return;
      for (const callId of open) await this.run(callId, 'fine');
    }
  }
}

const number = (nick: string): number => Number(nick.split('-')[1]);

function redrive(of: readonly string[], invalid = false) {
  return redriveUsers(
    { redis, keys },
    {
      users: of,
      by: 'test',
      batchCommand: 'multiaccount_import',
      singleCommand: 'account_import',
      maxOpenCalls: 1_000,
      dryRun: false,
      early: true,
      invalid,
    },
  );
}

async function problems(): Promise<string[]> {
  return [
    ...(await audit(redis, keys)).problems,
    ...(await booksProblems(redis, keys)),
    ...(await letterProblems(redis, keys)),
  ];
}

const user = fc.constantFrom(...users);
const kind = fc.constantFrom<Kind>('good', 'good', 'good', 'bad', 'invalid', 'robot');
const small: fc.Arbitrary<Small> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('produce' as const), user, kind }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cut' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('redrive' as const),
      users: fc.uniqueArray(user, { minLength: 1 }),
      invalid: fc.boolean(),
    }),
  },
);
const run: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('run' as const),
  pick: fc.nat(5),
  weather: fc.constantFrom<Weather>(
    'fine',
    'refusing',
    'refusing',
    'failing',
    'expiring',
    'expiring',
    'deaf',
  ),
  meanwhile: fc.array(small, { maxLength: 4 }),
  stolen: fc.boolean(),
});
const steps = fc.array(fc.oneof({ weight: 3, arbitrary: small }, { weight: 2, arbitrary: run }), {
  minLength: 5,
  maxLength: 40,
});

it.each([
  ['current', 60],
  ['legacy', 40],
] as const)(
  '%s: a redriven event never overwrites a newer profile, and nothing is lost on the way',
  async (form, numRuns) => {
    const isNeverSent = form === 'legacy' ? /^(bad|invalid)-/ : /^(bad|invalid|robot)-/;
    await fc.assert(
      fc.asyncProperty(steps, async (way) => {
        await redis.flushall();
        const world = new World(form);
        for (const step of way) {
          await world.step(step);
          expect({ step, problems: await problems() }).toEqual({ step, problems: [] });
        }
        // The API is well again: everything that can be imported is.
        await world.drain();
        await redrive(users, true);
        await world.drain();
        expect(await problems()).toEqual([]);
        expect(world.backwards).toEqual([]);
        expect(Object.fromEntries(world.profiles)).toEqual(Object.fromEntries(world.best));
        // What is left dead can never pass, or is older than nothing that passed.
        for await (const letter of listDeadLetters({ redis, keys })) {
          const why = `${letter.eventId} ${letter.event.nick} ${letter.reason}`;
          expect({ why, stays: isNeverSent.test(letter.event.nick ?? '') }).toEqual({ why, stays: true });
        }
        for await (const letter of listDeadLetters({ redis, keys }, { state: 'resolved' }))
          expect(compareEventIds(letter.resolvedBy ?? '', letter.eventId)).toBeGreaterThanOrEqual(0);
      }),
      { numRuns, interruptAfterTimeLimit: 90_000 },
    );
  },
  180_000,
);
