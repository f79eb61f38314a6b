import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Simulator } from '../../simulator/simulator.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import { type OpsWorker, startOpsWorker, workerEnv } from '../support/ops.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { simulatorForTest, TEST_APP } from '../support/simulator.ts';

const keys = keysOf(TEST_APP.sdkAppId);
/** IDs that nothing else in a log looks like. */
const user = (name: string): string => `zq-${name}-zq`;

/** Every kind of line that a worker may write at info, by how it begins. */
const KINDS: Readonly<Record<string, RegExp>> = {
  'ops server': /^info ops server listens: /,
  started: /^info worker started$/,
  'call made': /^info call made: imported \d+( of \d+)? users?(, \d+ (to be sent again|dead-lettered))*$/,
  'call answered':
    /^info call answered: .+; of \d+ users?: \d+ (to be retried|to be sent again|dead-lettered)$/,
  'dead letter': /^warn dead-lettered as (rejected|invalid): \d+ events?, see imsync dlq list$/,
  held: /^error all calls are held, events are kept: credentials\. /,
  probe: /^info probe of the hold answered: .+$/,
  released: /^info the hold is over, calls go on$/,
  lost: /^error Redis is lost; waiting for it$/,
  back: /^info Redis is back$/,
  signal: /^info signal received$/,
  stopping: /^info worker is stopping: /,
  stopped: /^info worker stopped$/,
};

function kindOf(line: string): string {
  const { level, msg } = JSON.parse(line) as { level: string; msg: string };
  const found = Object.entries(KINDS).find(([, pattern]) => pattern.test(`${level} ${msg}`));
  return found?.[0] ?? `unexpected: ${line}`;
}

describe('the log of a worker', () => {
  let redisServer: TestRedis;
  let simulator: Simulator;
  let redis: RedisClient;
  let worker: OpsWorker;
  const push = (name: string) => redis.xadd(keys.stream, '*', 'userId', user(name), 'nick', 'n');
  const ended = (sum: number) =>
    eventually(`${sum} events ended`, async () => {
      const { totals } = (await worker.ops('/status')).json ?? {};
      return totals !== undefined && totals.imported + totals.deadLettered === sum;
    });

  beforeAll(async () => {
    redisServer = await startRedis();
    simulator = await simulatorForTest();
    redis = openRedis(redisServer.settings, 'loop', 'test', () => undefined);
  }, 120_000);
  afterEach(async () => {
    worker?.signal('SIGKILL');
    await worker?.ended;
  }, 120_000);
  afterAll(async () => {
    if (redis) await closeRedis(redis);
    await simulator?.close();
    await redisServer?.stop();
  }, 120_000);

  it('has one line for each call and each change, and names no user', async () => {
    worker = await startOpsWorker({
      ...workerEnv(redisServer.url, simulator.url),
      IMSYNC_RETRY_BASE_MS: '20',
    });
    await push('first');
    await ended(1);

    simulator.setFaults({ rules: [{ match: { times: 1 }, action: { errorCode: 70500 } }] });
    await push('retried');
    await ended(2);

    // A refusal that quotes the user, and an entry that names none.
    simulator.setFaults({
      rules: [
        {
          match: { userIds: [user('bad')] },
          action: { accountCode: 70399, errorInfo: `no ${user('bad')} here` },
        },
      ],
    });
    await push('bad');
    await redis.xadd(keys.stream, '*', 'uid', user('nobody'));
    await ended(4);

    const hold = { errorCode: 70003, errorInfo: 'sign better' };
    simulator.setFaults({ rules: [{ match: { times: 3 }, action: hold }] });
    await push('held');
    await ended(5);
    simulator.setFaults({});

    await redisServer.kill();
    await worker.line('Redis is lost; waiting for it');
    // Long enough for every connection to have tried in vain more than once.
    await eventually(
      'other connections failed too',
      async () => (await worker.ops('/readyz')).status === 503,
    );
    const lostAt = performance.now();
    await eventually('a while has passed', () => performance.now() - lostAt > 8_000);
    await redisServer.restart();
    await worker.line('Redis is back');
    await push('after');
    await ended(6);

    worker.signal('SIGTERM');
    expect(await worker.ended).toBe(0);

    const kinds = worker.lines.map(kindOf);
    expect(kinds.filter((kind) => kind.startsWith('unexpected'))).toEqual([]);
    const counts: Record<string, number> = {};
    for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1;
    const calls = (counts['call made'] ?? 0) + (counts['call answered'] ?? 0);
    expect(calls).toBe(simulator.calls().filter(({ command }) => command !== 'account_check').length);
    expect(counts.probe).toBe(simulator.calls().filter(({ command }) => command === 'account_check').length);
    delete counts.probe;
    delete counts['call made'];
    delete counts['call answered'];
    expect(counts).toEqual({
      'ops server': 1,
      started: 1,
      'dead letter': 2,
      held: 1,
      released: 1,
      lost: 1,
      back: 1,
      signal: 1,
      stopping: 1,
      stopped: 1,
    });
    const order = ['started', 'held', 'released', 'lost', 'back', 'signal', 'stopping', 'stopped'];
    expect(kinds.filter((kind) => order.includes(kind))).toEqual(order);

    const text = worker.lines.join('\n');
    expect(text).not.toMatch(/zq-/);
    expect(text).toContain('no (user) here');
    expect(text).not.toContain(TEST_APP.secretKey);
    expect(text.toLowerCase()).not.toContain('usersig=');
    expect(worker.stderr()).toBe('');
  }, 180_000);

  it('names users at debug only', async () => {
    worker = await startOpsWorker({
      ...workerEnv(redisServer.url, simulator.url),
      IMSYNC_LOG_LEVEL: 'debug',
    });
    await push('seen');
    const line = await eventually('the users of the call', () =>
      worker.lines.find((one) => one.includes(user('seen'))),
    );
    expect(JSON.parse(line)).toMatchObject({ level: 'debug', userIds: [user('seen')] });
    for (const other of worker.lines.filter((one) => one.includes('zq-')))
      expect(JSON.parse(other)).toMatchObject({ level: 'debug' });
    expect(worker.lines.join('\n')).not.toContain(TEST_APP.secretKey);
    worker.signal('SIGTERM');
    await worker.ended;
  }, 120_000);
});

test.each([
  ['few', 5],
  ['more than a pipe takes', 8_000],
])(
  'the last lines before an exit are there, in their order, however busy the process is: %s',
  async (_, count) => {
    const [loader, script] = ['../support/ts-loader.js', '../support/log-and-exit.ts'].map((file) =>
      fileURLToPath(new URL(file, import.meta.url)),
    );
    const child = spawn(process.execPath, ['--import', loader ?? '', script ?? '', String(count)]);
    const exited = once(child, 'close');
    await once(child.stderr, 'data');
    // Nobody has read a line until now, and the process ends while they are read.
    child.stdin.end();
    const lines = (await text(child.stdout)).trim().split('\n');
    expect(lines).toHaveLength(count);
    expect(lines.every((line, i) => (JSON.parse(line) as { line: number }).line === i + 1)).toBe(true);
    expect((await exited)[0]).toBe(0);
  },
  60_000,
);
