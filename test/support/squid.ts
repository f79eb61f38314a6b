import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { freePort } from './redis-server.ts';

/** Tests of squid are skipped where it is not installed, unless TEST_SQUID is `must`. */
export const describeWithSquid =
  spawnSync('squid', ['-v']).status === 0 || process.env.TEST_SQUID === 'must' ? describe : describe.skip;

/** A squid of the test's own on a free loopback port. */
export interface Squid {
  readonly port: number;
  /** What it has logged: a line for each request or tunnel that has ended. */
  log(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

interface SquidOptions {
  /** The login that it wants. Default: none. */
  readonly login?: { readonly user: string; readonly password: string };
  /** Names that it alone can resolve; all are 127.0.0.1. */
  readonly names?: readonly string[];
  /** Ports that it connects to. Default: any. */
  readonly ports?: readonly number[];
}

export async function startSquid({ login, names = [], ports = [] }: SquidOptions = {}): Promise<Squid> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'imsync-squid-'));
  // As root it runs as another user.
  await chmod(folder, 0o777);
  const file = (name: string): string => join(folder, name);
  await writeFile(file('hosts'), names.map((name) => `127.0.0.1 ${name}\n`).join(''));
  await writeFile(file('users'), login === undefined ? '' : `${login.user}:${hashOf(login.password)}\n`);
  const wants =
    login === undefined
      ? []
      : [
          `auth_param basic program /usr/lib/squid/basic_ncsa_auth ${file('users')}`,
          'auth_param basic children 1 startup=1',
          'acl known proxy_auth REQUIRED',
          'http_access deny !known',
        ];
  const config = [
    `http_port 127.0.0.1:${port}`,
    ...wants,
    ...(ports.length > 0 ? [`acl mayreach port ${ports.join(' ')}`, 'http_access deny !mayreach'] : []),
    'http_access allow all',
    'cache deny all',
    'memory_cache_shared off',
    `hosts_file ${file('hosts')}`,
    `access_log stdio:${file('access.log')}`,
    'logfile_rotate 0',
    `cache_log ${file('cache.log')}`,
    'pid_filename none',
    'netdb_filename none',
    'pinger_enable off',
    'shutdown_lifetime 0 seconds',
    'visible_hostname proxy.test',
    `coredump_dir ${folder}`,
  ];
  await writeFile(file('squid.conf'), `${config.join('\n')}\n`);
  const squid = spawn('squid', ['-N', '-f', file('squid.conf')], { stdio: 'ignore' });
  await eventually(`squid answers on port ${port}`, () => {
    if (squid.exitCode !== null) throw new Error(`squid ended with ${squid.exitCode}`);
    return accepts(port);
  });
  return {
    port,
    log: async () => {
      const text = await readFile(file('access.log'), 'utf8').catch(() => '');
      return text.split('\n').filter((line) => line !== '');
    },
    async stop() {
      await ended(squid);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function hashOf(password: string): string {
  return spawnSync('openssl', ['passwd', '-apr1', '-stdin'], { input: password }).stdout.toString().trim();
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
