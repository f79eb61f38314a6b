import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserCreatedProducer } from '../../src/index.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { setDocumentedUsers } from '../support/documented-users.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { TEST_APP } from '../support/simulator.ts';
import { linesOf, logOf, type Stage, setStageOn } from '../support/stage.ts';

/** Worker, verbs and producer are in the database of the address, or say that they cannot be, and do nothing. */

const DATABASE = 3;
const PASSWORD = 'p-4c1d77';
const keys = keysOf(TEST_APP.sdkAppId);
let folder: string;
let server: TestRedis;
let stage: Omit<Stage, 'redis'>;
/** In database 0, where nothing has any business. */
let elsewhere: RedisClient;

const address = (user: string, database: number): string =>
  `redis://${user}:${PASSWORD}@127.0.0.1:${server.port}/${database}`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-database-'));
  server = await startRedis();
  stage = await setStageOn({
    settings: { ...server.settings, url: `${server.url}/${DATABASE}` },
    env: { IMSYNC_REDIS_URL: address('imsync', DATABASE) },
    stop: () => server.stop(),
  });
  elsewhere = openRedis(server.settings, 'loop', 'test', () => undefined);
  await setDocumentedUsers(elsewhere, PASSWORD);
  // Somebody else's: whoever takes it is in the wrong place.
  await elsewhere.xadd(keys.stream, '*', 'userId', 'of-another-database');
}, 120_000);
afterEach(async () => {
  expect(await elsewhere.keys('*')).toEqual([keys.stream]);
  expect(await elsewhere.xlen(keys.stream)).toBe(1);
  expect(stage.simulator.accounts.has('of-another-database')).toBe(false);
});
afterAll(async () => {
  await closeRedis(elsewhere);
  await stage.end();
  await rm(folder, { recursive: true, force: true });
}, 120_000);

const outOfRange =
  /database 16 cannot be used, Redis says "ERR DB index is out of range"; ask for a lower number/;
const noRight = /database 3 cannot be used, Redis says "NOPERM .*"; give its user the right \+select/;

async function everybodyRefuses(url: string, code: number, sentence: RegExp): Promise<void> {
  const rows = join(folder, 'rows.csv');
  await writeFile(rows, 'userId\nfrom-file\n');
  const verbs = [['worker'], ['status'], ['push', '--user-id', 'pushed'], ['import', rows], ['doctor']];
  const ends = await Promise.all(verbs.map((args) => stage.verb(args, { IMSYNC_REDIS_URL: url })));
  for (const [i, end] of ends.entries()) {
    const said = end.stdout + end.stderr;
    expect([verbs[i]?.[0], end.code, said]).toEqual([verbs[i]?.[0], code, expect.stringMatching(sentence)]);
    expect(said).not.toContain(PASSWORD);
  }
  const producer = new UserCreatedProducer({ sdkAppId: TEST_APP.sdkAppId, redis: { url } });
  try {
    const rejected = (message: RegExp) => ({ ok: false, error: { message: expect.stringMatching(message) } });
    expect(await producer.addMany([{ userId: 'a' }, { userId: 'b' }])).toMatchObject([
      rejected(sentence),
      rejected(sentence),
    ]);
    await expect(producer.add({ userId: 'c' })).rejects.toThrow(sentence);
    await expect(producer.importUser({ userId: 'd' })).rejects.toThrow(sentence);
  } finally {
    await producer.close();
  }
}

test('a number out of range', () => everybodyRefuses(address('imsync', 16), 2, outOfRange), 60_000);

test('a user without the right to SELECT', async () => {
  await elsewhere.call('ACL', 'SETUSER', 'imsync', '-select');
  await everybodyRefuses(address('imsync', DATABASE), 3, noRight);
  await elsewhere.call('ACL', 'SETUSER', 'imsync', '+select');
}, 120_000);

test('a Redis that refuses before it answers the rest leaves nothing open', async () => {
  const refusing = createServer((socket) => {
    // The first command of a connection is SELECT. CLIENT SETNAME and the others never get an answer.
    socket.once('data', () => socket.write('-ERR DB index is out of range\r\n'));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
  const { port } = refusing.address() as AddressInfo;
  for (const verb of ['doctor', 'status', 'worker']) {
    const end = await stage.verb([verb], { IMSYNC_REDIS_URL: `redis://127.0.0.1:${port}/16` });
    expect([verb, end.code, end.stdout + end.stderr]).toEqual([verb, 2, expect.stringMatching(outOfRange)]);
  }
  refusing.close();
}, 120_000);

test('the CommonJS build of the producer refuses, too', () => {
  const script = `
    const { UserCreatedProducer } = require(process.argv[1]);
    const producer = new UserCreatedProducer({ sdkAppId: 7, redis: { url: process.argv[2] } });
    producer.add({ userId: 'a' }).then(console.log, (error) => console.log(error.message)).then(() => producer.close());`;
  const build = fileURLToPath(new URL('../../dist/cjs/index.js', import.meta.url));
  const { stdout } = spawnSync(process.execPath, ['-e', script, build, address('imsync', 16)], {
    encoding: 'utf8',
  });
  expect(stdout).toMatch(outOfRange);
}, 120_000);

test('what is no number, or none of a cluster, is refused where the producer is made', () => {
  const made = (redis: object) => () => new UserCreatedProducer({ sdkAppId: 7, redis });
  expect(made({ url: 'redis://127.0.0.1/three' })).toThrow(/does not name a database number/);
  const nodes = [{ host: '127.0.0.1', port: 1 }];
  expect(made({ url: 'redis://127.0.0.1/3', mode: 'cluster', nodes })).toThrow(/only database 0: leave/);
});

test('the documented users work in a database other than 0, and doctor says which', async () => {
  const worker = await stage.worker();
  const { code } = await stage.verb(['push', '--user-id', 'by-verb'], {
    IMSYNC_REDIS_URL: address('backend', DATABASE),
  });
  expect(code).toBe(0);
  await eventually('it is imported', () => stage.simulator.accounts.has('by-verb'));
  expect((await stage.verb(['doctor'])).stdout).toContain(
    '✓ Redis gives access to database 3, as configured',
  );
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(0);
}, 120_000);

test('a running worker whose right is taken away waits for it, says so once and is not ready', async () => {
  const worker = await stage.worker();
  const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
  const readiness = async (): Promise<[number, string]> => {
    const answer = await fetch(`${url}/readyz`);
    return [answer.status, await answer.text()];
  };
  const producer = new UserCreatedProducer({
    sdkAppId: TEST_APP.sdkAppId,
    redis: { url: address('imsync', DATABASE) },
  });
  await producer.add({ userId: 'before' });
  await eventually('it is imported', () => stage.simulator.accounts.has('before'));

  await elsewhere.call('ACL', 'SETUSER', 'imsync', '-select');
  await elsewhere.client('KILL', 'USER', 'imsync');
  await eventually('the producer says why', () =>
    producer.add({ userId: 'between' }).then(
      () => false,
      ({ message }: Error) => noRight.test(message),
    ),
  );
  await eventually('the worker says why', () => linesOf(worker, 'Redis refuses to work').length > 0);
  expect(linesOf(worker, 'Redis refuses to work')).toEqual([
    expect.objectContaining({ level: 'error', reason: expect.stringMatching(noRight) }),
  ]);
  expect(await readiness()).toEqual([503, expect.stringContaining('database 3 cannot be used')]);
  await stage.push({ userId: 'meanwhile' });
  const errors = (): string[] =>
    logOf(worker).flatMap(({ level, msg }) => (level === 'error' ? [String(msg)] : []));

  await elsewhere.call('ACL', 'SETUSER', 'imsync', '+select');
  await eventually('it goes on', () => stage.simulator.accounts.has('meanwhile'));
  await eventually('it is ready', async () => (await readiness())[0] === 200);
  await eventually('the producer goes on', () => producer.add({ userId: 'after' }).catch(() => false));
  await eventually('it is said', () => linesOf(worker, 'Redis is back').length > 0);
  expect(errors()).toEqual([
    'Redis is lost; waiting for it',
    expect.stringMatching(/^Redis refuses to work: it does not give the database/),
  ]);
  await producer.close();
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(0);
}, 90_000);

test('one connection alone that is refused is said, too', async () => {
  const worker = await stage.worker();
  const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
  await elsewhere.call('ACL', 'SETUSER', 'imsync', '-select');
  const clients = String(await elsewhere.client('LIST')).split('\n');
  const id = /\bid=(\d+)/.exec(clients.findLast((line) => line.includes('name=imsync-watch')) ?? '')?.[1];
  await elsewhere.client('KILL', 'ID', Number(id));
  await eventually('it is said', () => linesOf(worker, 'the connection "watch" to Redis').length > 0);
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
  await elsewhere.call('ACL', 'SETUSER', 'imsync', '+select');
  await eventually('it is ready', async () => (await fetch(`${url}/readyz`)).ok);
}, 90_000);

test('a producer whose Redis comes back with fewer databases rejects, and adds nothing', async () => {
  const own = await startRedis();
  const producer = new UserCreatedProducer({ sdkAppId: 7, redis: { url: `${own.url}/3` } });
  try {
    await producer.add({ userId: 'before' });
    await own.kill();
    await own.restart(['--databases', '1', '--appenddirname', 'fewer']);
    await eventually('it says why', () =>
      producer.add({ userId: 'after' }).then(
        () => false,
        ({ message }: Error) => /database 3 cannot be used, Redis says "ERR DB index/.test(message),
      ),
    );
    const client = openRedis(own.settings, 'loop', 'test', () => undefined);
    expect(await client.dbsize()).toBe(0);
    await closeRedis(client);
  } finally {
    await producer.close();
    await own.stop();
  }
}, 120_000);
