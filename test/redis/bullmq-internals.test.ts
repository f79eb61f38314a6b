import { readFileSync } from 'node:fs';
import type { Job, WorkerOptions } from 'bullmq';
import * as imported from 'bullmq';
import {
  DelayedError,
  ErrorCode,
  MOVING,
  prepareForBullmq,
  Queue,
  WaitingError,
  Worker,
} from '../../src/calls/bullmq/bullmq.ts';
import { CallWorker, type RunEnd } from '../../src/calls/bullmq/call-worker.ts';
import { CallQueues, queueName } from '../../src/calls/bullmq/queues.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import { eventually } from '../support/eventually.ts';
import { BATCH, type Stage, useStages } from './stage.ts';

/**
 * One test for each internal of BullMQ that src/calls/bullmq/bullmq.ts lists, under the same number. A test
 * that fails after an upgrade says which assumption is wrong, and the list says which file rests on it.
 */
const VERSION = '6.7.0';
const fresh = useStages();

let stage: Stage;
const closing: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  stage = fresh();
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const key = (name: string): string => `${stage.keys.bullPrefix}:${queueName(BATCH)}:${name}`;

function closeLater<T extends { close(force?: boolean): Promise<unknown> }>(opened: T): T {
  closing.push(() => opened.close(true));
  return opened;
}

function openQueue(connection: RedisClient = stage.redis): imported.Queue {
  const queue = new Queue(queueName(BATCH), {
    ...{ connection, prefix: stage.keys.bullPrefix },
    ...{ skipVersionCheck: true, skipMetasUpdate: true },
  });
  queue.on('error', () => undefined);
  return closeLater(queue);
}

const openQueues = () => closeLater(new CallQueues(stage.redis, stage.keys, [BATCH], () => undefined));

type Settings = Partial<WorkerOptions>;

const settingsOf = (changed: Settings = {}): WorkerOptions => ({
  ...{ connection: stage.redis, prefix: stage.keys.bullPrefix },
  ...{ skipVersionCheck: true, autorun: false, maxStalledCount: 1_000_000 },
  ...changed,
});

/**
 * BullMQ's own worker, with its protected methods in sight. `withheld`: the fetch that answers "none waits".
 */
class OpenWorker extends Worker {
  /** When each fetch was asked for. */
  readonly fetchedAtMs: number[] = [];
  readonly blockSeconds: number[] = [];
  withheld = Number.NaN;
  get fetches(): number {
    return this.fetchedAtMs.length;
  }
  protected override async moveToActive(token: string, name?: string): Promise<Job> {
    this.fetchedAtMs.push(performance.now());
    if (this.fetches === this.withheld) return undefined as unknown as Job;
    return super.moveToActive(token, name);
  }
  protected override getBlockTimeout(blockUntil: number): number {
    const seconds = super.getBlockTimeout(blockUntil);
    this.blockSeconds.push(seconds);
    return seconds;
  }
}

function openWorker(processor: ((job: Job) => Promise<unknown>) | null, changed: Settings = {}): OpenWorker {
  const worker = new OpenWorker(queueName(BATCH), processor, settingsOf(changed));
  worker.on('error', () => undefined);
  return closeLater(worker);
}

function callWorker(
  run: (callId: string, kind: string) => Promise<RunEnd>,
  onFailed: (callId: string, error: Error) => void = () => undefined,
  connection = stage.redis,
) {
  return closeLater(
    new CallWorker({
      ...{ command: BATCH, connection, keys: stage.keys, concurrency: 2, run, onFailed },
      onTrouble: () => undefined,
    }),
  );
}

/** Fetches a job as a worker does that dies at once: nobody renews its lock. */
async function fetchAndDie(lockDuration: number): Promise<string> {
  const job = await openWorker(null, { lockDuration }).getNextJob('dead', { block: false });
  return job?.id ?? '';
}

test('1. require gives the classes that import gives, of the version that the list was written for', () => {
  const read = readFileSync(new URL('../../node_modules/bullmq/package.json', import.meta.url), 'utf8');
  expect(JSON.parse(read).version).toBe(VERSION);
  expect([imported.Worker, imported.Queue]).toEqual([Worker, Queue]);
  expect([new DelayedError(), new WaitingError()].map(({ name }) => name)).toEqual([
    'DelayedError',
    'WaitingError',
  ]);
});

describe('2. moveToActive', () => {
  /** How many fetches came before the first run began, with three jobs. */
  async function fetchesBeforeFirstRun(withheld: number): Promise<number> {
    const queue = openQueue();
    for (const jobId of ['a', 'b', 'c']) await queue.add('call', {}, { jobId });
    let atFirst = 0;
    let runs = 0;
    const worker = openWorker(
      async () => {
        if (runs++ === 0) atFirst = worker.fetches;
      },
      { concurrency: 10 },
    );
    worker.withheld = withheld;
    worker.run().catch(() => undefined);
    await eventually('all have run', () => runs === 3);
    return atFirst;
  }

  test('fetches each job, and all of them before the first run', async () => {
    expect(await fetchesBeforeFirstRun(Number.NaN)).toBeGreaterThanOrEqual(4);
  });

  test('can say that none waits; then the loop begins what it has, and fetches the rest later', async () => {
    expect(await fetchesBeforeFirstRun(3)).toBe(3);
  });
});

test('3. the worker blocks on a duplicate of its connection, with BZPOPMIN', async () => {
  const connection = stage.connect();
  let duplicates = 0;
  const duplicate = connection.duplicate.bind(connection) as () => RedisClient;
  connection.duplicate = (() => {
    duplicates++;
    return duplicate();
  }) as typeof connection.duplicate;
  const worker = openWorker(async () => undefined, { connection });
  worker.run().catch(() => undefined);
  await eventually('somebody blocks', async () =>
    /cmd=bzpopmin/.test(String(await stage.redis.client('LIST'))),
  );
  expect(duplicates).toBe(1);
});

test('4. a job that was moved by its processor counts as neither failed nor completed, and its runs are counted', async () => {
  const ends: RunEnd[] = [{ kind: 'later', delayMs: 30 }, { kind: 'leave' }, { kind: 'finished' }];
  const kinds: string[] = [];
  const failed: string[] = [];
  await openQueues().add(BATCH, ['a']);
  callWorker(
    async (_callId, kind) => {
      kinds.push(kind);
      return ends[kinds.length - 1] ?? { kind: 'finished' };
    },
    (callId) => failed.push(callId),
  );
  await eventually('it ran three times', () => kinds.length === 3);
  await eventually('it is gone', async () => (await stage.redis.exists(key('a'))) === 0);
  expect([kinds, failed]).toEqual([['live', 'again', 'again'], []]);
});

test.each(['completed', 'failed'])('5. a job that %s leaves no key behind', async (how) => {
  const queues = openQueues();
  await queues.add(BATCH, ['a']);
  let failed = '';
  let ran = false;
  callWorker(
    async () => {
      ran = true;
      if (how === 'failed') throw new Error('a bug');
      return { kind: 'finished' };
    },
    (callId) => {
      failed = callId;
    },
  );
  await eventually('it ran', () => ran);
  await eventually('no key is left', async () => {
    const kept = await stage.redis.exists(
      key('a'),
      key('a:lock'),
      key('completed'),
      key('failed'),
      key('active'),
    );
    return kept === 0;
  });
  await eventually('a failure was reported', () => failed === (how === 'failed' ? 'a' : ''));
  expect(await queues.place(BATCH, 'a')).toBe('nowhere');
});

test('6. only run() starts the loop, and close(true) waits for no run', async () => {
  const queue = openQueue();
  await queue.add('call', {}, { jobId: 'a' });
  const begun: string[] = [];
  const worker = openWorker(async (job) => {
    begun.push(job.id ?? '');
    await new Promise(() => undefined);
  });
  await worker.waitUntilReady();
  expect([worker.isRunning(), worker.fetches, begun]).toEqual([false, 0, []]);
  expect(await stage.redis.lrange(key('wait'), 0, -1)).toEqual(['a']);
  worker.run().catch(() => undefined);
  await eventually('it began', () => begun.length === 1);
  expect(worker.isRunning()).toBe(true);
  await worker.close(true);
  const { fetches } = worker;
  await queue.add('call', {}, { jobId: 'b' });
  const other: string[] = [];
  const otherWorker = openWorker(async ({ id = '' }) => other.push(id));
  otherWorker.run().catch(() => undefined);
  await eventually('another worker ran what came after', () => other.length > 0);
  expect([other, begun, worker.fetches]).toEqual([['b'], ['a'], fetches]);
});

test('7. the keys of a queue have the names, and delayed the scores, that our scripts read', async () => {
  const { redis } = stage;
  const queue = openQueue();
  await queue.add('call', {}, { jobId: 'a' });
  await queue.add('call', {}, { jobId: 'later', delay: 60_000 });
  expect(await redis.lrange(key('wait'), 0, -1)).toEqual(['a']);
  expect(await redis.exists(key('a'), key('later'))).toBe(2);
  const dueInMs = Number(await redis.zscore(key('delayed'), 'later')) / 0x1000 - Date.now();
  expect(dueInMs).toBeGreaterThan(50_000);
  expect(dueInMs).toBeLessThan(61_000);
  let lockMs = 0;
  const worker = openWorker(async () => {
    lockMs = await redis.pttl(key('a:lock'));
  });
  worker.run().catch(() => undefined);
  await eventually('the run saw its lock', () => lockMs > 0);
  expect(await redis.pttl(key('stalled-check'))).toBeGreaterThan(0);
});

test('8. a lock lives for lockDuration and is renewed; while stalled-check stands nobody looks for stalled jobs', async () => {
  const { redis } = stage;
  const [lockDuration, stalledInterval] = [600, 200];
  const queue = openQueue();
  await queue.add('call', {}, { jobId: 'dead' });
  expect(await fetchAndDie(lockDuration)).toBe('dead');
  await redis.set(key('stalled-check'), '1', 'PX', 3_600_000);
  await queue.add('call', {}, { jobId: 'long' });
  const runs: string[] = [];
  let endLongRun = (): void => undefined;
  const longRun = new Promise<void>((resolve) => {
    endLongRun = resolve;
  });
  const worker = openWorker(
    async ({ id = '' }) => {
      runs.push(id);
      if (id === 'long') await longRun;
    },
    { lockDuration, stalledInterval, concurrency: 2 },
  );
  worker.run().catch(() => undefined);
  await eventually('the long run began', () => runs.length > 0);
  const locksMs: number[] = [];
  await eventually('its lock was renewed three times, and the other lock expired', async () => {
    locksMs.push(await redis.pttl(key('long:lock')));
    const renewals = locksMs.filter((lockMs, i) => lockMs > (locksMs[i - 1] ?? lockDuration));
    return renewals.length >= 3 && (await redis.exists(key('dead:lock'))) === 0;
  });
  expect(Math.min(...locksMs)).toBeGreaterThan(0);
  expect(Math.max(...locksMs)).toBeLessThanOrEqual(lockDuration);
  expect(runs).toEqual(['long']);
  await redis.del(key('stalled-check'));
  await eventually('the stalled job comes back', () => runs.includes('dead'));
  await eventually('the key is set again', async () => (await redis.pttl(key('stalled-check'))) > 0);
  expect(await redis.pttl(key('stalled-check'))).toBeLessThanOrEqual(stalledInterval);
  expect(runs).toEqual(['long', 'dead']);
  endLongRun();
}, 60_000);

test('9. a job whose lock expired comes back, however often it stalled', async () => {
  const queue = openQueue();
  await queue.add('call', {}, { jobId: 'a' });
  await fetchAndDie(300);
  // BullMQ's count of stalls.
  await stage.redis.hset(key('a'), 'stc', '1000');
  const started: number[] = [];
  const worker = openWorker(async ({ attemptsStarted }) => started.push(attemptsStarted), {
    stalledInterval: 200,
  });
  worker.run().catch(() => undefined);
  await eventually('it runs again', () => started.length > 0);
  expect(started).toEqual([2]);
}, 60_000);

test('10. adding a job that exists changes nothing, and a locked job cannot be removed', async () => {
  const { redis } = stage;
  const queue = openQueue();
  await queue.add('call', {}, { jobId: 'a' });
  await queue.add('call', {}, { jobId: 'a', delay: 60_000 });
  expect([await redis.llen(key('wait')), await redis.zcard(key('delayed'))]).toEqual([1, 0]);
  expect(await fetchAndDie(30_000)).toBe('a');
  await queue.add('call', {}, { jobId: 'a' });
  expect([await redis.llen(key('wait')), await redis.llen(key('active'))]).toEqual([0, 1]);
  await queue.remove('a');
  expect(await redis.lrange(key('active'), 0, -1)).toEqual(['a']);
});

test('11. the states of a job, and the codes of a promotion that comes too late', async () => {
  const queue = openQueue();
  const queues = openQueues();
  await queue.add('call', {}, { jobId: 'a' });
  expect(await queue.getJobState('a')).toBe('waiting');
  await fetchAndDie(30_000);
  expect(await queue.getJobState('a')).toBe('active');
  await queue.add('call', {}, { jobId: 'later', delay: 60_000 });
  expect(await queue.getJobState('later')).toBe('delayed');
  expect(await queue.getJobState('never')).toBe('unknown');
  await queue.add('call', {}, { jobId: 'first', priority: 1 });
  expect(await queue.getJobState('first')).toBe('prioritized');
  const places = await Promise.all(['a', 'later', 'first', 'never'].map((id) => queues.place(BATCH, id)));
  expect(places).toEqual(['coming', 'delayed', 'coming', 'nowhere']);
  const job = await queue.getJob('later');
  await job?.promote();
  await expect(job?.promote()).rejects.toMatchObject({ code: ErrorCode.JobNotInState });
  await queue.remove('later');
  await expect(job?.promote()).rejects.toMatchObject({ code: ErrorCode.JobNotInState });
});

test('12. with skipMetasUpdate the meta key holds the default length of the event stream, and no settings', async () => {
  // A queue that writes its settings does so before it adds the first job.
  await openQueues().add(BATCH, ['a']);
  expect(await stage.redis.hgetall(key('meta'))).toEqual({ 'opts.maxLenEvents': '10000' });
});

test("13. each script is a command of the connection, with the version, and its first key is the queue's", async () => {
  const connection = stage.connect();
  const names: string[] = [];
  const firstKeys: [string, string][] = [];
  const define = connection.defineCommand.bind(connection);
  connection.defineCommand = (name, definition) => {
    define(name, definition);
    names.push(name);
    const methods = connection as unknown as Record<string, (args: string[]) => unknown>;
    const run = methods[name]?.bind(connection);
    methods[name] = (args) => {
      firstKeys.push([name, args[0] ?? '']);
      return run?.(args);
    };
  };
  const queue = openQueue(connection);
  await queue.add('call', {}, { jobId: 'a' });
  let ran = false;
  const worker = openWorker(
    async () => {
      ran = true;
    },
    { connection },
  );
  worker.run().catch(() => undefined);
  await eventually('it ran', () => ran);
  await eventually('it is finished', () => firstKeys.some(([name]) => name.startsWith('moveToFinished')));
  for (const name of names) expect(name).toMatch(new RegExp(`^[A-Za-z0-9]+:${VERSION}$`));
  const called = new Set(firstKeys.map(([name]) => name.split(':')[0]));
  expect([...called]).toEqual(expect.arrayContaining(['addStandardJob', 'moveToActive', 'moveToFinished']));
  for (const [, first] of firstKeys) expect(first.startsWith(key(''))).toBe(true);
});

describe('14. the scripts that move jobs on', () => {
  test('have these names', async () => {
    const connection = stage.connect();
    const names = new Set<string>();
    const define = connection.defineCommand.bind(connection);
    connection.defineCommand = (name, definition) => {
      names.add(name.split(':')[0] ?? '');
      define(name, definition);
    };
    await openQueue(connection).waitUntilReady();
    expect([...MOVING].filter((name) => !names.has(name))).toEqual([]);
  });

  test('run while Redis is out of memory with a write before them, and not without', async () => {
    const [plain, prepared] = [stage.connect(), prepareForBullmq(stage.connect())];
    const [refused, moving] = [openQueue(plain), openQueue(prepared)];
    await Promise.all([refused.waitUntilReady(), moving.waitUntilReady()]);
    const kinds: string[] = [];
    const run = async (_callId: string, kind: string): Promise<RunEnd> => {
      kinds.push(kind);
      return kinds.length === 1 ? { kind: 'later', delayMs: 20 } : { kind: 'finished' };
    };
    callWorker(run, () => undefined, prepared);
    await stage.redis.config('SET', 'maxmemory', '1');
    try {
      await expect(refused.add('call', {}, { jobId: 'a' })).rejects.toThrow('OOM');
      await moving.add('call', {}, { jobId: 'a' });
      await eventually('it ran twice', () => kinds.length === 2);
      await eventually('it is gone', async () => (await stage.redis.exists(key('a'))) === 0);
    } finally {
      await stage.redis.config('SET', 'maxmemory', '0');
    }
    expect(kinds).toEqual(['live', 'again']);
  }, 60_000);
});

test.each([
  ['at once', (connection: RedisClient) => connection, 0, 250],
  ['after half a second, once the connection is prepared', prepareForBullmq, 450, Number.POSITIVE_INFINITY],
])('15. after an error the loop asks for a job again %s', async (_when, prepare, atLeastMs, belowMs) => {
  await stage.redis.set(key('wait'), 'no list');
  const worker = openWorker(async () => undefined, { connection: prepare(stage.connect()) });
  worker.run().catch(() => undefined);
  const asked = await eventually('it asked four times', () => worker.fetches >= 4 && worker.fetchedAtMs);
  const shortestMs = Math.min(...asked.slice(1).map((atMs, i) => atMs - (asked[i] ?? 0)));
  expect(shortestMs).toBeGreaterThanOrEqual(atLeastMs);
  expect(shortestMs).toBeLessThan(belowMs);
});

test('16. getBlockTimeout is asked before the worker blocks, and answers in seconds', async () => {
  const worker = openWorker(async () => undefined);
  worker.run().catch(() => undefined);
  await eventually('it blocks', () => worker.blockSeconds.length > 0);
  expect(worker.blockSeconds[0]).toBe(5);
  // The deadline of our worker counts these seconds in: without them it would be 15 s away at most.
  const ours = callWorker(async () => ({ kind: 'finished' }));
  await eventually('its deadline counts them', () => (ours.deadline.dueMs ?? 0) - performance.now() > 16_000);
});
