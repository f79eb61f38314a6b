import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserCreatedProducer } from '../../src/producer/producer.ts';
import { closeRedis, openRedis } from '../../src/redis/connect.ts';
import { eventually } from '../support/eventually.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis-server.ts';
import { drained, linesOf, setStageOn } from '../support/stage.ts';

/** What a name leads to: IPv6 alone, and another server from one moment to the next. */

const hook = fileURLToPath(new URL('../support/names.js', import.meta.url));
const TOKEN = 't-90b1c3f6e2a84d57';
let folder: string;
let names: string;
const ended: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-names-'));
  names = join(folder, 'names');
});
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A lookup never finds a file that is half written. */
async function nameLeadsTo(name: string, ...addresses: readonly string[]): Promise<void> {
  await writeFile(`${names}.new`, `${[name, ...addresses].join(' ')}\n`);
  await rename(`${names}.new`, names);
}

const asNamed = (url: string) => ({
  IMSYNC_REDIS_URL: url,
  NODE_OPTIONS: `--import=${hook}`,
  TEST_NAMES: names,
});

test('Redis and the API listen on ::1 alone, and so does the worker: everything works, by name and by address', async () => {
  // localhost as most machines have it. Nobody listens on its other address.
  await nameLeadsTo('localhost', '127.0.0.1', '::1');
  const server = await startRedis([], {}, { host: '::1' });
  const stage = await setStageOn(
    { ...server, env: asNamed(`redis://localhost:${server.port}`) },
    { host: '::1' },
  );
  ended.push(() => stage.end());
  expect(stage.simulator.url).toMatch(/^http:\/\/\[::1\]:/);
  const worker = await stage.worker({
    IMSYNC_BASE_URL: stage.simulator.url.replace('[::1]', 'localhost'),
    IMSYNC_OPS_HOST: '::1',
    IMSYNC_INTAKE_HOST: '::1',
    IMSYNC_INTAKE_PORT: '0',
    IMSYNC_INTAKE_TOKENS: TOKEN,
  });
  const urlOf = (msg: string): string => String(linesOf(worker, msg)[0]?.url);
  const taken = await fetch(`${urlOf('HTTP intake listens')}/v1/users`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ userId: 'over-http' }),
  });
  expect(taken.status).toBe(202);
  expect((await stage.verb(['push', '--user-id', 'by-verb'])).code).toBe(0);
  const producer = new UserCreatedProducer({ sdkAppId: 1400000000, redis: { url: server.url } });
  ended.push(() => producer.close());
  await producer.add({ userId: 'by-address' });
  await drained(stage);
  expect([...stage.simulator.accounts.keys()].sort()).toEqual(['by-address', 'by-verb', 'over-http']);
  const doctor = await stage.verb(['doctor']);
  expect([doctor.code, doctor.stdout]).toEqual([0, expect.stringContaining('✓ Redis answers at')]);
  expect((await fetch(`${urlOf('ops server listens')}/readyz`)).status).toBe(200);
  const family4 = await stage.verb(['status'], {
    IMSYNC_REDIS_URL: `redis://localhost:${server.port}?family=4`,
  });
  expect([family4.code, family4.stderr]).toEqual([3, expect.stringContaining('ECONNREFUSED')]);
}, 120_000);

/** The replica has all, becomes the primary, and the name is moved to it: as managed services fail over. */
async function promoted(old: TestRedis, replica: TestRedis): Promise<void> {
  const [from, to] = [old, replica].map(({ settings }) =>
    openRedis(settings, 'loop', 'test', () => undefined),
  );
  if (from === undefined || to === undefined) throw new Error('there are two');
  await eventually('the replica has all', async () => {
    const offset = /master_repl_offset:(\d+)/.exec(await from.info('replication'))?.[1];
    return (await to.info('replication')).includes(`slave_repl_offset:${offset}`);
  });
  await to.call('REPLICAOF', 'NO', 'ONE');
  await from.call('REPLICAOF', new URL(replica.url).hostname, String(replica.port));
  await Promise.all([closeRedis(from), closeRedis(to)]);
}

test('the name of Redis is moved to its replica while all connections stand: work goes on there, and nothing is lost', async () => {
  const port = await freePort();
  const old = await startRedis([], {}, { port });
  const replica = await startRedis(
    ['--replicaof', `127.0.0.1 ${port}`, '--repl-diskless-sync-delay', '0'],
    {},
    { port, host: '127.0.0.2' },
  );
  ended.push(() => old.stop());
  await nameLeadsTo('redis.test', '127.0.0.1');
  const env = asNamed(`redis://redis.test:${port}`);
  const stage = await setStageOn({ settings: replica.settings, env, stop: () => replica.stop() });
  ended.push(() => stage.end());
  const worker = await stage.worker({ IMSYNC_INTAKE_PORT: '0', IMSYNC_INTAKE_TOKENS: TOKEN });
  const push = async (userId: string): Promise<number> => {
    const body = JSON.stringify({ userId });
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const url = `${linesOf(worker, 'HTTP intake listens')[0]?.url}/v1/users`;
    return (await fetch(url, { method: 'POST', headers, body })).status;
  };
  expect(await push('before')).toBe(202);
  await eventually('it is imported', () => stage.simulator.accounts.has('before'));
  await promoted(old, replica);
  // DNS is slower than the service.
  await eventually('the old one refuses', async () => (await push('refused')) === 503);
  await nameLeadsTo('redis.test', '127.0.0.2');
  await eventually('events are taken again', async () => (await push('after')) === 202);
  await eventually('it is imported', () => stage.simulator.accounts.has('after'));
  await drained(stage);
  await old.stop();
  expect(await push('without-the-old-one')).toBe(202);
  await drained(stage);
  const errors = linesOf(worker, 'Redis ').filter(({ level }) => level === 'error');
  expect(errors.map(({ msg }) => msg)).toEqual([
    expect.stringMatching(/^Redis refuses to work: it is a replica/),
  ]);
}, 120_000);
