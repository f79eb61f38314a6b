import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import {
  type ConnectionChange,
  closeRedis,
  openRedis,
  type RedisClient,
  whenReady,
} from '../../src/redis/connect.ts';
import { staysInDatabase } from '../../src/redis/database.ts';
import type { RedisSettings } from '../../src/redis/options.ts';
import { eventually } from '../support/eventually.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis-server.ts';
import { TEST_CERT, TEST_KEY } from '../unit/im/tls-cert.ts';

/** A connection is in the database that was asked for, or carries nothing. Of a server with four databases. */

let folder: string;
let server: TestRedis;
let tlsPort: number;
let admin: RedisClient;
const opened: RedisClient[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-database-'));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  await Promise.all([writeFile(cert, TEST_CERT), writeFile(key, TEST_KEY)]);
  tlsPort = await freePort();
  server = await startRedis([
    ...['--databases', '4', '--unixsocket', join(folder, 'redis.sock')],
    ...['--tls-port', String(tlsPort), '--tls-auth-clients', 'no'],
    ...['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert],
  ]);
  admin = openRedis(server.settings, 'loop', 'admin', () => undefined);
  await admin.call('ACL', 'SETUSER', 'app', 'on', '>p', '~*', '&*', '+@all');
}, 60_000);
afterEach(async () => {
  await Promise.all(opened.splice(0).map(closeRedis));
});
afterAll(async () => {
  await closeRedis(admin);
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

function open(role: 'loop' | 'oneshot', address: string, more: Partial<RedisSettings> = {}) {
  const changes: ConnectionChange[] = [];
  const client = openRedis({ ...server.settings, url: address, ...more }, role, 'test', (change) =>
    changes.push(change),
  );
  opened.push(client);
  return { client, changes };
}
const ours = (database: number): string => `redis://app:p@127.0.0.1:${server.port}/${database}`;
const outOfRange =
  'database 9 cannot be used, Redis says "ERR DB index is out of range"; ask for a lower number, or raise "databases" in the configuration of Redis';
const noRight =
  /^database 3 cannot be used, Redis says "NOPERM .*'select' command.*"; give its user the right \+select/;

/** How often a SELECT was refused. */
const refusals = async (): Promise<number> => {
  const [, rejected, failed] =
    /cmdstat_select:.*rejected_calls=(\d+),failed_calls=(\d+)/.exec(await admin.info('commandstats')) ?? [];
  return Number(rejected ?? 0) + Number(failed ?? 0);
};
const refusedTimes = async (times: number): Promise<void> => {
  const before = await refusals();
  await eventually('it has tried again and again', async () => (await refusals()) >= before + times);
};

test.each([
  ['redis://', () => open('loop', ours(9)).client],
  ['rediss://', () => open('loop', `rediss://127.0.0.1:${tlsPort}/9`, { ca: TEST_CERT }).client],
  [
    'a socket',
    () => {
      const client = staysInDatabase(new Redis({ path: join(folder, 'redis.sock'), db: 9 }));
      client.on('error', () => undefined);
      opened.push(client);
      return client;
    },
  ],
])('a number out of range: nothing is written, not elsewhere either: %s', async (_what, connect) => {
  const client = connect();
  client.set('stray', '1').catch(() => undefined);
  await expect(whenReady(client, 30_000)).rejects.toThrow(outOfRange);
  // BullMQ blocks on one of these.
  const duplicate = (client as Redis).duplicate();
  opened.push(duplicate);
  duplicate.on('error', () => undefined);
  duplicate.set('stray', '2').catch(() => undefined);
  await expect(whenReady(duplicate, 30_000)).rejects.toThrow(outOfRange);
  await refusedTimes(4);
  expect(await admin.dbsize()).toBe(0);
});

test('a oneshot fails at once', async () => {
  const { client, changes } = open('oneshot', ours(9));
  await expect(whenReady(client, 30_000)).rejects.toThrow(outOfRange);
  await expect(client.set('stray', '1')).rejects.toThrow();
  await refusedTimes(3);
  expect(changes).toEqual([{ state: 'lost', reason: outOfRange }]);
  expect(await admin.dbsize()).toBe(0);
});

test('a right that is taken away counts at the next connection: its commands wait for it', async () => {
  const { client, changes } = open('loop', ours(3));
  await client.set('before', '1');
  await admin.call('ACL', 'SETUSER', 'app', '-select');
  // One command is on its way when the connection breaks, and is sent again on the next one.
  const blocked = client.blpop('list', 0);
  await eventually('it blocks', async () => (await admin.info('clients')).includes('blocked_clients:1'));
  await admin.client('KILL', 'USER', 'app');
  await eventually('it is lost', () => changes.length > 1);
  const queued = [client.set('after', '2'), client.lpush('list', 'x')];
  await refusedTimes(3);
  expect(await admin.dbsize()).toBe(0);
  expect(changes.slice(1)).toEqual([
    { state: 'lost', reason: 'the connection was closed' },
    { state: 'lost', reason: expect.stringMatching(noRight) },
  ]);
  await admin.call('ACL', 'SETUSER', 'app', '+select');
  await eventually('it stands again', () => changes.length === 4);
  expect(changes[3]).toEqual({ state: 'reachable' });
  // The blocked one stands before the push on this connection: another one ends it.
  await open('loop', ours(3)).client.lpush('list', 'y');
  expect(await blocked).toEqual(['list', 'y']);
  await Promise.all(queued);
  expect(await admin.dbsize()).toBe(0);
  await client.flushdb();
});

test('a Redis that comes back with fewer databases gets nothing', async () => {
  const { client, changes } = open('loop', `redis://127.0.0.1:${server.port}/3`);
  await client.ping();
  await server.kill();
  const queued = client.set('after', '1');
  await server.restart(['--databases', '1', '--appenddirname', 'fewer']);
  await refusedTimes(3);
  expect(await admin.dbsize()).toBe(0);
  expect(changes.at(-1)).toMatchObject({ reason: expect.stringContaining('database 3 cannot be used') });
  await server.kill();
  await server.restart();
  await queued;
  expect([await client.get('after'), await admin.dbsize()]).toEqual(['1', 0]);
});
