import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ImportSummary } from '../../src/cli/import/run-import.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { UserCreatedProducer } from '../../src/producer/producer.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { booksProblems } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { type ImsyncProcess, imsync } from '../support/process.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { type SimulateProcess, startSimulate } from '../support/simulate.ts';
import { TEST_APP } from '../support/simulator.ts';

/**
 * An import beside signups is killed in its middle and continued. With `IMSYNC_TEST_IMPORT_ROWS=1000000` it becomes
 * the measurement: it then prints its figures and takes some minutes.
 */
const ROWS = Number(process.env.IMSYNC_TEST_IMPORT_ROWS ?? 4_000);
const MEASURED = process.env.IMSYNC_TEST_IMPORT_ROWS !== undefined;
const SIGNUPS_EVERY_MS = 40;
const PATIENCE_MS = 60_000 + ROWS;

let redisServer: TestRedis;
let simulate: SimulateProcess;
let folder: string;
let redis: RedisClient;
let subscriber: RedisClient;
let producer: UserCreatedProducer;
const workers: ImsyncProcess[] = [];
const keys = keysOf(TEST_APP.sdkAppId);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-signups-'));
  [redisServer, simulate] = await Promise.all([startRedis(), startSimulate(['--latency', '20-60'])]);
  redis = openRedis(redisServer.settings, 'loop', 'test', () => undefined);
  subscriber = openRedis(redisServer.settings, 'loop', 'test-watch', () => undefined);
  producer = new UserCreatedProducer({ sdkAppId: TEST_APP.sdkAppId, redis: redisServer.settings });
  for (let i = 0; i < 2; i++) workers.push(imsync(['worker'], { ...env(), IMSYNC_LOG_LEVEL: 'info' }));
  await Promise.all(workers.map((worker) => worker.line('worker started')));
}, 120_000);
afterAll(async () => {
  for (const worker of workers) worker.signal('SIGKILL');
  await Promise.all(workers.map((worker) => worker.ended));
  simulate.process.signal('SIGKILL');
  await producer.close();
  await Promise.all([redis, subscriber].map(closeRedis));
  await redisServer.stop();
  await rm(folder, { recursive: true });
}, 120_000);

function env(): Record<string, string> {
  return {
    IMSYNC_REDIS_URL: redisServer.url,
    IMSYNC_SDK_APP_ID: String(TEST_APP.sdkAppId),
    IMSYNC_SDK_SECRET_KEY: TEST_APP.secretKey,
    IMSYNC_BASE_URL: simulate.url,
  };
}

/** Signs users up at a steady rate, and measures how long each takes until its account exists. */
async function signUp(prefix: string) {
  const channel = `outcomes-${prefix}`;
  const waiting = new Map<string, number>();
  const tookMs: number[] = [];
  let going = true;
  let count = 0;
  subscriber.on('message', (from: string, message: string) => {
    if (from !== channel) return;
    const { userId, outcome } = JSON.parse(message) as { userId: string; outcome: string };
    const sinceMs = waiting.get(userId);
    if (sinceMs === undefined || outcome !== 'imported') return;
    waiting.delete(userId);
    tookMs.push(performance.now() - sinceMs);
  });
  await subscriber.subscribe(channel);
  const ended = (async () => {
    while (going) {
      const userId = `${prefix}${count++}`;
      waiting.set(userId, performance.now());
      await producer.add({ userId, nick: 'Live', replyTo: channel });
      await sleep(SIGNUPS_EVERY_MS);
    }
  })();
  return {
    async stop() {
      going = false;
      await ended;
      await eventually('every signup is imported', () => waiting.size === 0, PATIENCE_MS);
      const sorted = tookMs.sort((a, b) => a - b);
      const at = (share: number): number => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
      return { count, p50: at(0.5), p99: at(0.99), max: at(1) };
    },
  };
}

async function writeUsers(path: string): Promise<void> {
  const stream = createWriteStream(path);
  stream.write('userId,nick,faceUrl\n');
  for (let i = 0; i < ROWS; i++) {
    if (!stream.write(`row${i},Nick of ${i},https://example.com/pictures/${i}.png\n`))
      await once(stream, 'drain');
  }
  stream.end();
  await once(stream, 'close');
}

/** The most memory that a process has taken, in MB. */
async function peakMb(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1_024);
}

const say = (text: string): void => {
  if (MEASURED) process.stdout.write(`${text}\n`);
};

test(
  'an import beside signups, killed and continued, loses no row and no signup',
  async () => {
    const path = join(folder, 'users.csv');
    await writeUsers(path);
    const alone = await signUp('before');
    await sleep(MEASURED ? 30_000 : 500);
    const aloneStats = await alone.stop();
    say(`signups without an import: ${JSON.stringify(aloneStats)}`);

    const beside = await signUp('beside');
    const startedMs = performance.now();
    const first = imsync(['import', path], env());
    const checkpoint = async (): Promise<number> => {
      const text = await readFile(`${path}.imsync-checkpoint`, 'utf8').catch(() => '{"rows":0}');
      return (JSON.parse(text) as { rows: number }).rows;
    };
    await eventually(
      'a part of the file is done',
      async () => (await checkpoint()) > (MEASURED ? ROWS / 2 : 0),
      PATIENCE_MS,
    );
    const peakOfFirst = await peakMb(first.pid);
    first.signal('SIGKILL');
    await first.ended;
    const doneAtKill = await checkpoint();
    const killedAfterS = (performance.now() - startedMs) / 1_000;
    const second = imsync(['import', path, '--wait', '--json'], env());
    let peakOfSecond = 0;
    const watching = setInterval(() => {
      void peakMb(second.pid).then((mb) => {
        peakOfSecond = Math.max(peakOfSecond, mb);
      });
    }, 500);
    const code = await second.ended;
    clearInterval(watching);
    const besideStats = await beside.stop();
    const seconds = (performance.now() - startedMs) / 1_000;
    expect({ code, stderr: second.stderr() }).toMatchObject({ code: 0 });
    const summary = JSON.parse(second.lines.join('')) as ImportSummary;
    expect(second.stderr()).toContain(doneAtKill === 0 ? '' : 'Continuing after row');
    expect(summary.counts.rows).toBe(ROWS);
    expect(summary.outcome).toMatchObject({ deadLettered: 0, underWay: 0 });

    const books = await readTotals(redis, keys);
    const { accounts } = await simulate.report();
    expect(books).toMatchObject({ waiting: 0, parked: 0, deadLettered: 0 });
    expect(accounts).toBe(ROWS + aloneStats.count + besideStats.count);
    expect(await booksProblems(redis, keys)).toEqual([]);
    say(
      `import of ${ROWS} rows: ${seconds.toFixed(1)} s in all, killed after ${killedAfterS.toFixed(1)} s at row ${doneAtKill}; ` +
        `${Math.round(ROWS / seconds)} rows/s; peak ${peakOfFirst} and ${peakOfSecond} MB; ` +
        `${(summary.outcome?.accepted ?? 0) - ROWS} events more than rows; second run ${summary.seconds.toFixed(1)} s`,
    );
    say(`signups beside it: ${JSON.stringify(besideStats)}`);
    say(`second run said:\n${second.stderr()}`);
  },
  120_000 + 4 * PATIENCE_MS,
);
