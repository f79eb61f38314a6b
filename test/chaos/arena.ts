import { fileURLToPath } from 'node:url';
import type { SimulatorOptions } from '../../simulator/options.ts';
import type { Scenario } from '../../simulator/scenario/scenario.ts';
import type { Simulator } from '../../simulator/simulator.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../../src/redis/connect.ts';
import { type Keys, keysOf } from '../../src/redis/keys.ts';
import type { RedisSettings } from '../../src/redis/options.ts';
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
  /** Default 80; 200 a second is what the quota carries. */
  readonly eventsPerSecond?: number;
  /** False where Redis itself breaks: words on a channel may be lost then. Default true. */
  readonly hearsEnds?: boolean;
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
  /** A worker of another build. */
  workerOf(cli: string): Promise<ImsyncProcess>;
  /** Another connection, closed at the end; `db` other than 0 for what must not meddle. */
  connect(db?: number): RedisClient;
  atEnd(undo: () => Promise<unknown>): void;
  /** Any process of this arena, started. */
  start(args: readonly string[], env?: Env): ImsyncProcess;
  verb(args: readonly string[], env?: Env): ReturnType<typeof imsyncRun>;
  /** A worker that is killed (or stopped) at a point (at-point.js). */
  victim(point: string, passing: number, act?: Act, env?: Env): ImsyncProcess;
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
  /**
   * Waits until every record that is open now is done, in another run's hands, or in those of a run that proves to
   * live by its lock or by moving; tells how long it took.
   */
  takenOver(): Promise<number>;
  /** Waits until there are so many dead letters of a reason. */
  untilDead(reason: string, count: number): Promise<void>;
  /** Waits until calls start at 90 % of the quota over a second, and tells when that second began. */
  fullRate(sinceMs: number, timeoutMs?: number): Promise<number>;
}

/** Calls of the batch command a second; few, so that two busy cores reach it. */
export const QUOTA = 20;
export const BATCH_SIZE = 10;
const SAMPLE_EVERY_MS = 2_500;
const DRAIN_MS = 240_000;
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
    const open = (role: 'loop' | 'oneshot', db = 0): RedisClient => {
      const url = db === 0 ? settings.url : `${settings.url}/${db}`;
      const client = openRedis({ ...settings, url }, role, 'chaos', () => undefined);
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
      // More processes want the two cores than there are: one that is put aside between its last look at the clock
      // and its socket must not look like a broken quota.
      IMSYNC_QUOTA_MARGIN: '0.03',
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
    // Of a harness that is itself ended, nothing may be left running.
    const killAll = (): void => {
      for (const { child } of processes) child.kill('SIGKILL');
      if (server !== undefined) process.kill(server.pid(), 'SIGTERM');
    };
    process.once('exit', killAll);
    undo.push(async () => process.off('exit', killAll));
    const start = (args: readonly string[], more: Env = {}, cli?: string): ImsyncProcess => {
      const process = imsync(args, { ...env, ...more }, undefined, { build: cli });
      processes.push(process);
      return process;
    };
    const worker = async (more: Env = {}, cli?: string): Promise<ImsyncProcess> => {
      const process = start(['worker'], more, cli);
      await process.line('worker started', 60_000);
      return process;
    };
    const workers = await Promise.all(Array.from({ length: wish.workers ?? 2 }, () => worker()));
    const producer = open('oneshot');
    await whenReady(producer, 10_000);
    const flow = startFlow(producer, keys, random, wish.eventsPerSecond ?? 80);
    undo.push(() => flow.stop());
    const samples = startSamples(redis, keys, problem);
    undo.push(() => samples.stop());
    const slots = startSlotWatch(open('oneshot'), keys);
    undo.push(slots.stop);

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
      worker: (more) => worker(more),
      workerOf: (cli) => worker({}, cli),
      connect: (db) => open('loop', db),
      atEnd: (one) => undo.push(one),
      start: (args, more) => start(args, more),
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
      async untilDead(reason, count) {
        await eventually(
          `${count} dead letters of reason ${reason}`,
          async () => Number(await redis.hget(keys.deadCounts, `reason:${reason}`)) >= count,
          240_000,
        );
      },
      fullRate: (sinceMs, timeoutMs = 60_000) => fullRate(simulator, sinceMs, timeoutMs),
    };
    await row.run(arena);

    await flow.stop();
    const drainedMs = performance.now();
    const books = await eventually(
      'every event has ended',
      async () => {
        const now = await readTotals(redis, keys);
        return now.imported + now.superseded + now.deadLettered === now.accepted && now;
      },
      DRAIN_MS,
    ).catch(async (error: Error) => {
      problem(error.message);
      for (const line of await remains(redis, keys)) say(`    ${line}`);
      return readTotals(redis, keys);
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
    await slots.stop();
    // Broken when both say so: the slots do not tell a missed one from a call where Redis is far or away, the arrivals
    // not a call that was late from one too many.
    const arrivals = arrivalNotes(simulator);
    if (arrivals.length > 0) slots.problems().map(problem);
    notes.push(...arrivals);
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

/** What is left when it should not be, for whoever looks for the reason. */
async function remains(redis: RedisClient, keys: Keys): Promise<string[]> {
  const callIds = await redis.zrange(keys.open, '0', '-1', 'WITHSCORES');
  const lines = [
    JSON.stringify(await readTotals(redis, keys)),
    JSON.stringify(await redis.hgetall(keys.hold)),
  ];
  for (let i = 0; i < Math.min(callIds.length, 20); i += 2) {
    const { entries, attempts, ...fields } = await redis.hgetall(keys.callPrefix + callIds[i]);
    const job = `${keys.bullPrefix}:calls-${fields.command}:${callIds[i]}`;
    const lock = await redis.pttl(`${job}:lock`);
    lines.push(
      `${callIds[i]} since ${callIds[i + 1]}: ${JSON.stringify({ ...fields, job: await redis.exists(job), lock })}; ` +
        `${entries?.length} bytes of entries, attempts ${attempts?.slice(-200)}`,
    );
  }
  return lines;
}

/** What happens at a point: see at-point.js. */
export type Act = 'SIGKILL' | 'SIGSTOP' | 'THROW';

function hooked(point: string, passing: number, act: Act): Env {
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

/**
 * A worker that died has lost its locks by now, and has long not shown that its calls move: what still has a lock, or moved
 * just now, is in living hands.
 */
const LOCKS_GONE_MS = 7_000;
const MOVED_WITHIN_MS = 3_000;

interface OpenCall {
  readonly callId: string;
  /** null: it is done. '' : nobody has run it yet. */
  readonly run: string | null;
  /** Locked, or shown to move. */
  readonly lives: boolean;
}

async function lookAt(redis: RedisClient, keys: Keys, callIds: readonly string[]): Promise<OpenCall[]> {
  const [seconds = 0] = await redis.time();
  return Promise.all(
    callIds.map(async (callId): Promise<OpenCall> => {
      const [v, run, command] = await redis.hmget(keys.callPrefix + callId, 'v', 'run', 'command');
      const lock = `${keys.bullPrefix}:calls-${command}:${callId}:lock`;
      const movedMs = Number(seconds) * 1_000 - Number((await redis.zscore(keys.open, callId)) ?? 0);
      const lives = (await redis.exists(lock)) === 1 || Math.abs(movedMs) < MOVED_WITHIN_MS;
      return { callId, run: v ? (run ?? '') : null, lives };
    }),
  );
}

async function takenOver(redis: RedisClient, keys: Keys): Promise<number> {
  const sinceMs = performance.now();
  let left = await lookAt(redis, keys, await redis.zrange(keys.open, '0', '-1'));
  while (left.length > 0) {
    const elapsedMs = performance.now() - sinceMs;
    if (elapsedMs > 90_000)
      throw new Error(`nobody took over: ${left.map(({ callId }) => callId).join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = await lookAt(
      redis,
      keys,
      left.map(({ callId }) => callId),
    );
    left = left.filter(({ run }, i) => {
      const is = now[i];
      return (
        is !== undefined && is.run !== null && is.run === run && !(is.lives && elapsedMs > LOCKS_GONE_MS)
      );
    });
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

const QUOTAS = { multiaccount_import: QUOTA, account_import: 200, account_check: 100 } as const;
const SLOT_LOOK_MS = 400;
const LISTED_US = 1_900_000;

/**
 * The quota by what the fleet decides: the slots that were granted and used, on the clock of Redis. Arrivals would tell more
 * on a machine of its own; where more processes want the processor than there are cores, one that is put aside
 * between its last look at the clock and its socket arrives late, and proves nothing.
 */
function startSlotWatch(redis: RedisClient, keys: Keys): { stop(): Promise<void>; problems(): string[] } {
  const granted = new Map<string, Map<string, number>>();
  const look = async (): Promise<void> => {
    for (const command of Object.keys(QUOTAS)) {
      const [seconds = 0, micros = 0] = (await redis.time()).map(Number);
      const nowMicros = seconds * 1_000_000 + micros;
      const flat = await redis.zrange(keys.startedPrefix + command, '0', '-1', 'WITHSCORES');
      const known = granted.get(command) ?? new Map<string, number>();
      granted.set(command, known);
      const listed = new Map<string, number>();
      for (let i = 0; i + 1 < flat.length; i += 2) listed.set(flat[i] ?? '', Number(flat[i + 1]));
      // What was given up since is no call, and others make up for it. The list holds two seconds.
      for (const [slot, at] of known) if (at > nowMicros - LISTED_US && !listed.has(slot)) known.delete(slot);
      for (const [slot, at] of listed) known.set(slot, at);
    }
  };
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    // Redis may be away: the row's own doing.
    looking ??= look()
      .catch(() => undefined)
      .finally(() => {
        looking = undefined;
      });
  }, SLOT_LOOK_MS);
  return {
    async stop() {
      clearInterval(timer);
      await looking;
    },
    problems: () =>
      Object.entries(QUOTAS).flatMap(([command, quota]) => {
        const times = [...(granted.get(command)?.values() ?? [])].sort((a, b) => a - b);
        const over = times.find((at, i) => (times[i + quota] ?? Number.POSITIVE_INFINITY) < at + 1_000_000);
        return over === undefined
          ? []
          : [`more than ${quota} slots of ${command} were used in the second from ${over} us`];
      }),
  };
}

/** What the API saw of the quota. */
function arrivalNotes(simulator: Simulator): string[] {
  const { commands, longestStallMs } = simulator.report();
  return Object.entries(commands).flatMap(([name, { refused, maxSurelyInRollingSecond: most }]) => {
    const quota = (QUOTAS as Readonly<Record<string, number>>)[name] ?? 100;
    return most > quota || refused > 0
      ? [
          `${most} arrivals of ${name} in a second, ${refused} refused (stalls of up to ${Math.round(longestStallMs)} ms)`,
        ]
      : [];
  });
}
