import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis, type RedisOptions } from 'ioredis';
import { readTextFile } from '../../src/cli/context.ts';
import { loadConfig } from '../../src/config/load.ts';
import { requireForRedis } from '../../src/config/requirements.ts';
import { closeRedis, openRedis, whenReady } from '../../src/redis/connect.ts';
import { redisAdvice } from '../../src/redis/requirements.ts';
import { redisAddress, redisSettings } from '../../src/redis/settings.ts';
import { type Certificate, certificateFor } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { imsyncRun } from '../support/process.ts';
import { freePort, REDIS_SERVER } from '../support/redis-server.ts';
import { workerEnv } from '../support/stage.ts';

/** Every way to a Redis as clouds and companies give it, with the verbs that people run; and how each failure is told. */
type Env = Readonly<Record<string, string>>;

let folder: string;
/** Its certificate is for the name alone, so an address that is resolved too early does not fit. */
let server: Certificate;
let client: Certificate;
const children: ChildProcess[] = [];
const sockets: Socket[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-ways-'));
  server = certificateFor(folder, ['localhost']);
  client = certificateFor(folder, ['client.test']);
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  for (const child of children) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

const tlsArgs = (): string[] => [
  ...['--tls-cert-file', server.certFile, '--tls-key-file', server.keyFile],
  ...['--tls-ca-cert-file', server.caFile],
];

/** A redis-server on a free port that this file ends; resolves when it listens. */
async function redis(args: readonly string[], tls: boolean): Promise<number> {
  const port = await freePort();
  const own = ['--dir', folder, '--appendonly', 'yes', '--appenddirname', `aof-${port}`, '--save', ''];
  const where = tls ? ['--port', '0', '--tls-port', String(port), ...tlsArgs()] : ['--port', String(port)];
  const nodes = ['--cluster-config-file', `nodes-${port}.conf`, '--maxmemory-policy', 'noeviction'];
  await started(spawn(REDIS_SERVER, [...where, ...own, ...nodes, ...args], { stdio: 'ignore' }), port);
  return port;
}

async function started(child: ChildProcess, port: number): Promise<void> {
  children.push(child);
  await eventually(`port ${port} listens`, () => {
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
    return new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
  });
}

/** All slots to one node, which knows no other and so not its own address. */
async function becomesCluster(options: RedisOptions): Promise<void> {
  const node = new Redis(options);
  await node.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
  await eventually('the cluster is up', async () =>
    String(await node.call('CLUSTER', 'INFO')).includes('state:ok'),
  );
  node.disconnect();
}

/** What a verb would say of a Redis that is given so: `works`, or the reason and the advice. */
async function tried(env: Env, expected: RegExp): Promise<string> {
  const base = workerEnv('redis://127.0.0.1', 'http://127.0.0.1:9');
  const { config } = loadConfig({ env: { ...base, ...env }, readFile: readTextFile });
  requireForRedis(config);
  const connection = openRedis(redisSettings(config, readTextFile), 'oneshot', 'test', () => undefined);
  let said = '';
  // On a busy machine the first words may be that there was no answer in time.
  await eventually(
    `${redisAddress(config)} answers as expected`,
    async () => {
      said = await whenReady(connection, 1_000).then(
        () => 'works',
        ({ message }: Error) => `${redisAddress(config)}: ${message}. ${redisAdvice(message, config)}`,
      );
      return expected.test(said);
    },
    20_000,
  ).catch(() => undefined);
  await closeRedis(connection);
  return said;
}

async function works(env: Env): Promise<void> {
  expect(await tried(env, /^works$/)).toBe('works');
}

async function fails(env: Env, ...words: readonly string[]): Promise<void> {
  const expected = new RegExp(words.join('.*'));
  expect(await tried(env, expected)).toMatch(expected);
}

test('TLS, client certificates and server names', async () => {
  const open = await redis(['--tls-auth-clients', 'no'], true);
  const mutual = await redis([], true);
  const at = (port: number, host = 'localhost'): Env => ({
    IMSYNC_REDIS_URL: `rediss://${host}:${port}`,
    IMSYNC_REDIS_CA_FILE: server.caFile,
  });
  const known = { IMSYNC_REDIS_CERT_FILE: client.certFile, IMSYNC_REDIS_KEY_FILE: client.keyFile };
  await Promise.all([
    fails(
      { IMSYNC_REDIS_URL: `redis://localhost:${open}` },
      'ECONNRESET',
      'A port that speaks TLS wants rediss://',
    ),
    fails(at(open, '127.0.0.1'), 'altnames', 'IMSYNC_REDIS_SERVER_NAME'),
    works({ ...at(open, '127.0.0.1'), IMSYNC_REDIS_SERVER_NAME: 'localhost' }),
    fails(
      at(mutual),
      'certificate required\\.',
      'Redis wants a client certificate: give it by IMSYNC_REDIS_CERT_FILE',
    ),
    works({ ...at(mutual), ...known }),
  ]);
}, 120_000);

test('a socket, and a Redis that takes no more connections', async () => {
  const socket = join(folder, 'redis.sock');
  const port = await redis(['--unixsocket', socket, '--maxclients', '2'], false);
  await works({ IMSYNC_REDIS_URL: `unix://${socket}?db=2` });
  await works({ IMSYNC_REDIS_URL: socket });
  for (let i = 0; i < 2; i++) {
    const held = connect(port, '127.0.0.1');
    sockets.push(held);
    await new Promise((resolve) => held.once('connect', resolve));
  }
  await Promise.all([
    fails({ IMSYNC_REDIS_URL: `redis://127.0.0.1:${port}` }, 'ERR max number of clients reached', 'raise it'),
    fails({ IMSYNC_REDIS_URL: `${socket}.gone` }, 'ENOENT', 'There is no such socket'),
  ]);
}, 120_000);

test('no verb leaves something open when Redis closes each connection at once', async () => {
  const closing = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => closing.listen(0, '127.0.0.1', resolve));
  const { port } = closing.address() as AddressInfo;
  const env = workerEnv(`redis://127.0.0.1:${port}`, 'http://127.0.0.1:9');
  for (const verb of ['status', 'doctor']) {
    const { code, stdout, stderr } = await imsyncRun([verb], env);
    expect([verb, code]).toEqual([verb, 3]);
    expect(stdout + stderr).toContain('A port that speaks TLS wants rediss://');
    expect(stdout + stderr).not.toMatch(/open resources|a bug/);
  }
  closing.close();
}, 120_000);

test('a cluster of one node, with TLS and host names, with a password, behind NAT', async () => {
  const lone = await redis(['--cluster-enabled', 'yes', '--requirepass', 'secret'], false);
  const names = ['--cluster-announce-hostname', 'localhost', '--cluster-preferred-endpoint-type', 'hostname'];
  const tls = ['--tls-auth-clients', 'no', '--tls-cluster', 'yes', ...names];
  const secure = await redis(['--cluster-enabled', 'yes', ...tls], true);
  const behind = await redis(['--cluster-enabled', 'yes', '--cluster-announce-ip', '10.255.255.1'], false);
  await becomesCluster({ port: lone, password: 'secret' });
  await becomesCluster({ port: secure, host: 'localhost', tls: { ca: server.ca } });
  await becomesCluster({ port: behind });
  const at = (port: number, host = '127.0.0.1'): Env => ({
    IMSYNC_REDIS_MODE: 'cluster',
    IMSYNC_REDIS_NODES: `${host}:${port}`,
  });
  const overTls = { ...at(secure, 'localhost'), IMSYNC_REDIS_URL: 'rediss://localhost' };
  const map = { IMSYNC_REDIS_NODE_MAP: `10.255.255.1:${behind}=127.0.0.1:${behind}` };
  await Promise.all([
    works({ ...at(lone), IMSYNC_REDIS_PASSWORD: 'secret' }),
    fails(
      { ...at(lone), IMSYNC_REDIS_PASSWORD: 'other' },
      `127.0.0.1:${lone}`,
      'WRONGPASS',
      'check IMSYNC_REDIS_PASSWORD',
    ),
    fails(at(lone), 'NOAUTH', 'Redis wants a password'),
    works({ ...overTls, IMSYNC_REDIS_CA_FILE: server.caFile }),
    fails(overTls, 'self-signed certificate', 'IMSYNC_REDIS_CA_FILE'),
    works({ ...at(behind), ...map }),
    fails(at(9), 'ECONNREFUSED 127.0.0.1:9', 'check IMSYNC_REDIS_NODES'),
  ]);
}, 90_000);

test('sentinels over TLS with a login of their own, and a primary with TLS', async () => {
  const primary = await redis(['--tls-auth-clients', 'no', '--requirepass', 'secret'], true);
  const port = await freePort();
  const file = join(folder, 'sentinel.conf');
  const settings = [
    ...[`port 0`, `tls-port ${port}`, `dir ${folder}`, 'tls-auth-clients no', 'tls-replication yes'],
    ...['requirepass other', 'sentinel resolve-hostnames yes', 'sentinel announce-hostnames yes'],
    ...[`sentinel monitor main localhost ${primary} 1`, 'sentinel auth-pass main secret'],
  ];
  const certificates = tlsArgs()
    .map((word) => word.replace(/^--/, '\n'))
    .join(' ');
  await writeFile(file, `${settings.join('\n')}${certificates}\n`);
  await started(spawn(REDIS_SERVER, [file, '--sentinel'], { stdio: 'ignore' }), port);
  const env = {
    IMSYNC_REDIS_MODE: 'sentinel',
    IMSYNC_REDIS_URL: 'rediss://localhost',
    IMSYNC_REDIS_NODES: `localhost:${port}`,
    IMSYNC_REDIS_SENTINEL_NAME: 'main',
    IMSYNC_REDIS_PASSWORD: 'secret',
    IMSYNC_REDIS_CA_FILE: server.caFile,
  };
  const overTls = { ...env, IMSYNC_REDIS_SENTINEL_TLS: 'true' };
  const own = { ...overTls, IMSYNC_REDIS_SENTINEL_PASSWORD: 'other' };
  await works(own);
  await Promise.all([
    fails(env, `localhost:${port}`, 'sentinels are unreachable', 'want IMSYNC_REDIS_SENTINEL_TLS=true'),
    fails(overTls, 'NOAUTH', 'check IMSYNC_REDIS_SENTINEL_PASSWORD'),
    fails(
      { ...own, IMSYNC_REDIS_SENTINEL_NAME: 'mian' },
      'No such master',
      'check IMSYNC_REDIS_SENTINEL_NAME',
    ),
  ]);
}, 120_000);
