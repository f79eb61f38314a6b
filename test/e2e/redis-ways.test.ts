import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis, type RedisOptions } from 'ioredis';
import { type Certificate, certificateFor } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { imsyncRun } from '../support/process.ts';
import { freePort } from '../support/redis-server.ts';
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
  await started(spawn('redis-server', [...where, ...own, ...nodes, ...args], { stdio: 'ignore' }), port);
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

/** The output and code of `imsync status` at a Redis that is given so. */
async function status(env: Env): Promise<string> {
  const base = workerEnv('', 'http://127.0.0.1:9');
  const { code, stdout, stderr } = await imsyncRun(['status'], { ...base, ...env });
  return `${code} ${stdout}${stderr}`;
}

const works = /^0 app +1400000000\n(?:(?!imsync: )[\s\S])*$/;

/** It fails with the reason and the advice, and with nothing else. */
const fails = (...words: readonly string[]) =>
  expect.stringMatching(new RegExp(`^3 imsync: Redis cannot be reached at .*${words.join('.*')}.*\n$`));

test('TLS, client certificates and server names', async () => {
  const open = await redis(['--tls-auth-clients', 'no'], true);
  const mutual = await redis([], true);
  const trusting = { IMSYNC_REDIS_CA_FILE: server.caFile };
  const at = (port: number, host = 'localhost'): Env => ({
    IMSYNC_REDIS_URL: `rediss://${host}:${port}`,
    ...trusting,
  });
  const known = { IMSYNC_REDIS_CERT_FILE: client.certFile, IMSYNC_REDIS_KEY_FILE: client.keyFile };
  const [plain, byAddress, named, without, withOne] = await Promise.all([
    status({ IMSYNC_REDIS_URL: `redis://localhost:${open}` }),
    status(at(open, '127.0.0.1')),
    status({ ...at(open, '127.0.0.1'), IMSYNC_REDIS_SERVER_NAME: 'localhost' }),
    status(at(mutual)),
    status({ ...at(mutual), ...known }),
  ]);
  expect(plain).toEqual(fails('ECONNRESET', 'A port that speaks TLS wants rediss://'));
  expect(byAddress).toEqual(fails('altnames', 'IMSYNC_REDIS_SERVER_NAME'));
  expect(named).toMatch(works);
  expect(without).toEqual(
    fails('certificate required\\.', 'Redis wants a client certificate: give it by IMSYNC_REDIS_CERT_FILE'),
  );
  expect(withOne).toMatch(works);
}, 60_000);

test('a socket, and a Redis that takes no more connections', async () => {
  const socket = join(folder, 'redis.sock');
  const port = await redis(['--unixsocket', socket, '--maxclients', '2'], false);
  expect(await status({ IMSYNC_REDIS_URL: `unix://${socket}?db=2` })).toMatch(works);
  expect(await status({ IMSYNC_REDIS_URL: socket })).toMatch(works);
  for (let i = 0; i < 2; i++) {
    const held = connect(port, '127.0.0.1');
    sockets.push(held);
    await new Promise((resolve) => held.once('connect', resolve));
  }
  const [full, gone] = await Promise.all([
    status({ IMSYNC_REDIS_URL: `redis://127.0.0.1:${port}` }),
    status({ IMSYNC_REDIS_URL: `${socket}.gone` }),
  ]);
  expect(full).toEqual(fails('ERR max number of clients reached', 'raise it'));
  expect(gone).toEqual(fails('ENOENT', 'There is no such socket'));
}, 60_000);

test('a cluster of one node, with TLS and host names, with a password, behind NAT', async () => {
  const lone = await redis(['--cluster-enabled', 'yes', '--requirepass', 'secret'], false);
  const names = ['--cluster-announce-hostname', 'localhost', '--cluster-preferred-endpoint-type', 'hostname'];
  const secure = await redis(
    ['--cluster-enabled', 'yes', '--tls-auth-clients', 'no', '--tls-cluster', 'yes', ...names],
    true,
  );
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
  const [right, wrong, missing, tls, stranger, mapped, away] = await Promise.all([
    status({ ...at(lone), IMSYNC_REDIS_PASSWORD: 'secret' }),
    status({ ...at(lone), IMSYNC_REDIS_PASSWORD: 'other' }),
    status(at(lone)),
    status({ ...overTls, IMSYNC_REDIS_CA_FILE: server.caFile }),
    status(overTls),
    status({ ...at(behind), ...map }),
    status(at(9)),
  ]);
  for (const one of [right, tls, mapped]) expect(one).toMatch(works);
  expect(wrong).toEqual(fails(`127.0.0.1:${lone}`, 'WRONGPASS', 'IMSYNC_REDIS_PASSWORD'));
  expect(missing).toEqual(fails('NOAUTH', 'Redis wants a password'));
  expect(stranger).toEqual(fails('self-signed certificate', 'IMSYNC_REDIS_CA_FILE'));
  expect(away).toEqual(fails('ECONNREFUSED 127.0.0.1:9', 'check IMSYNC_REDIS_NODES'));
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
  await started(spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' }), port);
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
  const [right, notSaid, noLogin, unknown] = await Promise.all([
    status(own),
    status(env),
    status(overTls),
    status({ ...own, IMSYNC_REDIS_SENTINEL_NAME: 'mian' }),
  ]);
  expect(right).toMatch(works);
  expect(notSaid).toEqual(
    fails(`localhost:${port}`, 'sentinels are unreachable', 'want IMSYNC_REDIS_SENTINEL_TLS=true'),
  );
  expect(noLogin).toEqual(fails('NOAUTH', 'check IMSYNC_REDIS_SENTINEL_PASSWORD'));
  expect(unknown).toEqual(fails('No such master', 'check IMSYNC_REDIS_SENTINEL_NAME'));
}, 60_000);
