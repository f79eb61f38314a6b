import { fileURLToPath } from 'node:url';
import { readBooks } from '../../src/ledger/books.ts';
import { closeRedis, openRedis, type RedisClient, type RedisSettings } from '../../src/redis/connect.ts';
import { type Keys, keysOf } from '../../src/redis/keys.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import type { Scenario } from '../../src/simulator/scenario.ts';
import type { Simulator } from '../../src/simulator/simulator.ts';
import { audit, booksProblems } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { type ImsyncProcess, imsync, imsyncRun } from '../support/process.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { simulatorForTest, TEST_APP } from '../support/simulator.ts';
import { CALM, CHANNEL, type Flow, startFlow } from './flow.ts';
import type { RowResult } from './row.ts';
import { judge } from './verdict.ts';

type Env = Readonly<Record<string, string>>;

/** The Redis of an arena, where a row wants another one than a redis-server of its own. */
export interface Store {
  readonly settings: RedisSettings;
  /** IMSYNC_REDIS_*, for the workers. */
  readonly env: Env;
  stop(): Promise<void>;
}

export interface ArenaOptions {
  /** Healthy workers; default 2. */
  readonly workers?: number;
  readonly env?: Env;
  /** Of the redis-server. */
  readonly redisArgs?: readonly string[];
  /** Instead of a redis-server. */
  readonly store?: () => Promise<Store>;
  readonly simulator?: Partial<SimulatorOptions>;
  /** Default 150. */
  readonly eventsPerSecond?: number;
  /** False where Redis itself breaks: words on a channel may be lost then. Default true. */
  readonly hearsEnds?: boolean;
  /** The simulator may have to say "too often". Default false. */
  readonly mayBeThrottled?: boolean;
  /** Events are redriven: one that was dead ends once more. */
  readonly redrives?: boolean;
}

/** Where one row happens: a Redis, a simulator, workers, and events that flow. */
export interface Arena {
  /** Meaningless with a store of the row's own. */
  readonly server: TestRedis;
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly simulator: Simulator;
  readonly flow: Flow;
  /** The healthy ones. */
  readonly workers: ImsyncProcess[];
  readonly env: Env;
  /** 0 ≤ r < 1, seeded. */
  readonly random: () => number;
  /** True in `npm test`: few points, short faults. */
  readonly brief: boolean;
  worker(env?: Env): Promise<ImsyncProcess>;
  /** Any process of this arena, started. */
  start(args: readonly string[], env?: Env): ImsyncProcess;
  verb(args: readonly string[], env?: Env): ReturnType<typeof imsyncRun>;
  /** A worker that is killed (or stopped) at a point (at-point.js). */
  victim(point: string, passing: number, act?: 'SIGKILL' | 'SIGSTOP', env?: Env): ImsyncProcess;
  /** `dlq redrive --all`, killed at a point. */
  redriver(point: string, passing: number): ImsyncProcess;
  /** On top of the calm scenario; `{}` heals. */
  faults(scenario: Scenario): void;
  sleep(ms: number): Promise<void>;
  /** A promise broke. */
  problem(sentence: string): void;
  note(sentence: string): void;
  progress(sentence: string): void;
  /** Something took so long; the worst counts. Above `atMostMs` a promise is broken (not in brief). */
  took(what: string, ms: number, atMostMs?: number): void;
  /** Waits until all records that are open now are done or in another run's hands, and tells how long it took. */
  takenOver(): Promise<number>;
  /** Waits until calls start at 90 % of the quota over a second, and tells when that second began. */
  fullRate(sinceMs: number, timeoutMs?: number): Promise<number>;
}

/** Calls of the batch command a second; few, so that two cores can be made to reach it. */
export const QUOTA = 40;
export const BATCH_SIZE = 10;
const SAMPLE_EVERY_MS = 1_500;
const DRAIN_MS = 120_000;
const atPoint = fileURLToPath(new URL('at-point.js', import.meta.url));

export async function runRow(
  row: { readonly name: string; readonly arena?: ArenaOptions; run(arena: Arena): Promise<void> },
  options: { readonly random: () => number; readonly brief: boolean; readonly say: (line: string) => void },
): Promise<RowResult> {
  const startedMs = performance.now();
  const { random, brief, say } = options;
  const wish = row.arena ?? {};
  const problems: string[] = [];
  const notes: string[] = [];
  const seconds = new Map<string, number>();
  const undo: (() => Promise<unknown>)[] = [];
  const problem = (sentence: string): void => {
    if (problems.includes(sentence)) return;
    problems.push(sentence);
    say(`  BROKEN: ${sentence}`);
  };
  const result = { name: row.name, events: 0, lost: 0, repeated: 0 };

  try {
    const server = wish.store === undefined ? await startRedis(wish.redisArgs) : undefined;
    if (server !== undefined) undo.push(() => server.stop());
    const store = await wish.store?.();
    if (store !== undefined) undo.push(() => store.stop());
    const settings = store?.settings ?? (server as TestRedis).settings;
    const simulator = await simulatorForTest({
      quotas: { multiaccount_import: QUOTA },
      callLogSize: 200_000,
      scenario: CALM,
      ...wish.simulator,
    });
    undo.push(() => simulator.close());
    const keys = keysOf(TEST_APP.sdkAppId);
    const open = (role: 'loop' | 'oneshot'): RedisClient => {
      const client = openRedis(settings, role, 'chaos', () => undefined);
      undo.push(() => closeRedis(client));
      return client;
    };
    const redis = open('loop');
    const ends = await hearEnds(open('loop'));
    const env: Env = {
      ...(store?.env ?? { IMSYNC_REDIS_URL: settings.url }),
      IMSYNC_SDK_APP_ID: String(TEST_APP.sdkAppId),
      IMSYNC_SDK_SECRET_KEY: TEST_APP.secretKey,
      IMSYNC_BASE_URL: simulator.url,
      IMSYNC_OPS_PORT: '0',
      IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: String(QUOTA),
      IMSYNC_BATCH_MAX_SIZE: String(BATCH_SIZE),
      IMSYNC_RETRY_BASE_MS: '100',
      IMSYNC_RETRY_MAX_MS: '1000',
      ...wish.env,
    };
    const processes: ImsyncProcess[] = [];
    undo.push(async () => {
      for (const { child } of processes)
        if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await Promise.all(processes.map(({ ended }) => ended));
    });
    const start = (args: readonly string[], more: Env = {}): ImsyncProcess => {
      const process = imsync(args, { ...env, ...more });
      processes.push(process);
      return process;
    };
    const worker = async (more: Env = {}): Promise<ImsyncProcess> => {
      const process = start(['worker'], more);
      await process.line('worker started', 60_000);
      return process;
    };
    const workers = await Promise.all(Array.from({ length: wish.workers ?? 2 }, () => worker()));
    const flow = startFlow(open('oneshot'), keys, random, wish.eventsPerSecond ?? 150);
    undo.push(() => flow.stop());
    const samples = startSamples(redis, keys, problem);
    undo.push(() => samples.stop());

    const arena: Arena = {
      server: server as TestRedis,
      redis,
      keys,
      simulator,
      flow,
      workers,
      env,
      random,
      brief,
      worker,
      start,
      verb: (args, more = {}) => imsyncRun(args, { ...env, ...more }),
      victim: (point, passing, act = 'SIGKILL', more = {}) =>
        start(['worker'], { ...hooked(point, passing, act), ...more }),
      redriver: (point, passing) => start(['dlq', 'redrive', '--all'], hooked(point, passing, 'SIGKILL')),
      faults: (scenario) =>
        simulator.setFaults({
          ...CALM,
          ...scenario,
          rules: [...(scenario.rules ?? []), ...(CALM.rules ?? [])],
        }),
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      problem,
      note: (sentence) => notes.push(sentence),
      progress: (sentence) => say(`  ${sentence}`),
      took(what, ms, atMostMs = Number.POSITIVE_INFINITY) {
        seconds.set(what, Math.max(seconds.get(what) ?? 0, ms / 1000));
        if (ms > atMostMs && !brief)
          problem(`${what} took ${(ms / 1000).toFixed(1)} s, ${atMostMs / 1000} s are promised`);
      },
      takenOver: () => takenOver(redis, keys),
      fullRate: (sinceMs, timeoutMs = 60_000) => fullRate(simulator, sinceMs, timeoutMs),
    };
    await row.run(arena);

    await flow.stop();
    const drainedMs = performance.now();
    const books = await eventually(
      'every event has ended',
      async () => {
        const now = await readBooks(redis, keys);
        return now.imported + now.superseded + now.deadLettered === now.accepted && now;
      },
      DRAIN_MS,
    ).catch(async (error: Error) => {
      problem(error.message);
      return readBooks(redis, keys);
    });
    seconds.set('drained', (performance.now() - drainedMs) / 1000);
    await samples.stop();
    for (const found of [...(await audit(redis, keys)).problems, ...(await booksProblems(redis, keys))])
      problem(`at the end: ${found}`);
    const judged = await judge(redis, keys, {
      acknowledged: flow.acknowledged,
      unsure: flow.unsure,
      ends: wish.hearsEnds === false ? undefined : ends,
      accounts: simulator.accounts,
      books,
      redriven: wish.redrives === true,
    });
    judged.problems.map(problem);
    quotaProblems(simulator, wish.mayBeThrottled === true).map(problem);
    notes.push(`${samples.count()} samples`);
    if (flow.unsure.length + flow.refused > 0)
      notes.push(`${flow.refused} events refused, ${flow.unsure.length} unsure`);
    Object.assign(result, {
      events: flow.acknowledged.length,
      lost: judged.lost,
      repeated: judged.repeated,
    });
  } catch (error) {
    problem(`the row broke off: ${(error as Error).stack ?? String(error)}`);
  } finally {
    for (const one of undo.reverse())
      await one().catch((error: Error) => problem(`cannot end: ${error.message}`));
  }
  return { ...result, seconds, notes, problems, tookMs: performance.now() - startedMs };
}

function hooked(point: string, passing: number, act: NodeJS.Signals): Env {
  return {
    NODE_OPTIONS: `--import=${atPoint}`,
    CHAOS_POINT: point,
    CHAOS_PASSING: String(passing),
    CHAOS_ACT: act,
  };
}

/** Every end that settle told, by event. */
async function hearEnds(client: RedisClient): Promise<ReadonlyMap<string, readonly string[]>> {
  const ends = new Map<string, string[]>();
  client.on('message', (_channel: string, message: string) => {
    const { eventId, outcome } = JSON.parse(message) as { eventId: string; outcome: string };
    ends.set(eventId, [...(ends.get(eventId) ?? []), outcome]);
  });
  await client.subscribe(CHANNEL);
  return ends;
}

/** Recounts everything now and then, while all is in motion. A Redis that is away skips its turn. */
function startSamples(
  redis: RedisClient,
  keys: Keys,
  problem: (sentence: string) => void,
): { stop(): Promise<void>; count(): number } {
  let taken = 0;
  let stopped = false;
  let sampling: Promise<void> | undefined;
  const sample = async (): Promise<void> => {
    try {
      const found = [...(await audit(redis, keys)).problems, ...(await booksProblems(redis, keys))];
      taken++;
      // One is enough to see which; the rest follow from it.
      for (const one of found.slice(0, 3)) problem(`sample ${taken}: ${one}`);
    } catch (error) {
      const { name, message } = error as Error;
      // Redis is away, loading, or full: the row's own doing.
      if (name !== 'ReplyError' && !/closed|ECONN|max retries|time/i.test(message))
        problem(`a sample broke off: ${message}`);
    }
  };
  const timer = setInterval(() => {
    if (stopped || sampling !== undefined) return;
    sampling = sample().finally(() => {
      sampling = undefined;
    });
  }, SAMPLE_EVERY_MS);
  return {
    async stop() {
      stopped = true;
      clearInterval(timer);
      await sampling;
    },
    count: () => taken,
  };
}

async function runsOf(
  redis: RedisClient,
  keys: Keys,
  callIds: readonly string[],
): Promise<(string | null)[]> {
  if (callIds.length === 0) return [];
  const pipeline = redis.pipeline();
  // What a record is and who runs it: a cut one has no run, a closed one nothing at all.
  for (const callId of callIds) pipeline.hmget(keys.callPrefix + callId, 'v', 'run');
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, reply]) => {
    if (error) throw error;
    const [v, run] = reply as [string | null, string | null];
    return v === null ? null : (run ?? '');
  });
}

async function takenOver(redis: RedisClient, keys: Keys): Promise<number> {
  const sinceMs = performance.now();
  const callIds = await redis.zrange(keys.open, '0', '-1');
  const before = await runsOf(redis, keys, callIds);
  let left = callIds.map((callId, i) => ({ callId, run: before[i] }));
  while (left.length > 0) {
    if (performance.now() - sinceMs > 90_000)
      throw new Error(`nobody took over: ${left.map(({ callId }) => callId).join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = await runsOf(
      redis,
      keys,
      left.map(({ callId }) => callId),
    );
    left = left.filter(({ run }, i) => now[i] !== null && now[i] === run);
  }
  return performance.now() - sinceMs;
}

/** `sinceMs`: by `Date.now()`. */
async function fullRate(simulator: Simulator, sinceMs: number, timeoutMs: number): Promise<number> {
  const enough = 0.9 * QUOTA;
  return eventually(
    'calls start at the full rate again',
    () => {
      const arrived = simulator
        .calls()
        .filter(({ command, arrivedAtMs }) => command === 'multiaccount_import' && arrivedAtMs >= sinceMs)
        .map(({ arrivedAtMs }) => arrivedAtMs);
      const first = arrived.findIndex(
        (at, i) => (arrived[i + enough - 1] ?? Number.POSITIVE_INFINITY) < at + 1_000,
      );
      // Never 0, which would be taken for "not yet".
      return first >= 0 && Math.max(1, (arrived[first] ?? 0) - sinceMs);
    },
    timeoutMs,
  );
}

function quotaProblems(simulator: Simulator, mayBeThrottled: boolean): string[] {
  if (mayBeThrottled) return [];
  const { commands } = simulator.report();
  return Object.entries(commands).flatMap(([name, { refused, maxSurelyInRollingSecond }]) => {
    const quota = name === 'multiaccount_import' ? QUOTA : name === 'account_import' ? 200 : 100;
    return [
      ...(refused > 0 ? [`the API refused ${refused} calls of ${name} as too often`] : []),
      ...(maxSurelyInRollingSecond > quota
        ? [`${maxSurelyInRollingSecond} calls of ${name} in a rolling second, the quota is ${quota}`]
        : []),
    ];
  });
}
