import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, isIPv6 } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RedisSettings } from '../../src/redis/options.ts';
import { eventually } from './eventually.ts';

/** The server of all tests: redis-server on PATH, or another one that speaks as it does (a newer Redis, Valkey). */
export const REDIS_SERVER = process.env.TEST_REDIS_SERVER || 'redis-server';

/** A redis-server of the test's own: free loopback port, own folder, AOF on, noeviction. */
export interface TestRedis {
  readonly port: number;
  readonly url: string;
  readonly settings: RedisSettings;
  readonly pid: () => number;
  readonly isUp: () => boolean;
  /** kill -9. */
  kill(): Promise<void>;
  /** Ends it in order: what it acknowledged is in its file. */
  shutdown(): Promise<void>;
  /** Starts it again on the same port and folder; `otherArgs` come after those that it had. */
  restart(otherArgs?: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

/** A file that may not grow ends a process by this signal, unless it ignores it, as only a shell can tell it to. */
const IGNORES_FILE_LIMIT = ['sh', '-c', `trap '' XFSZ; exec "$0" "$@"`] as const;

interface ServerOptions {
  /** Where it listens; default 127.0.0.1 and any free port. */
  readonly host?: string;
  readonly port?: number;
  /** A limit on the size of its files is to it what a full disk is. */
  readonly ignoresFileLimit?: boolean;
}

/** `env`: on top of this process's own. */
export async function startRedis(
  extraArgs: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  { host = '127.0.0.1', port, ignoresFileLimit = false }: ServerOptions = {},
): Promise<TestRedis> {
  return startRedisAt(host, port ?? (await freePort(host)), ignoresFileLimit, extraArgs, env);
}

async function startRedisAt(
  host: string,
  port: number,
  ignoresFileLimit: boolean,
  extraArgs: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'imsync-redis-'));
  let server: ChildProcess | undefined;

  const start = async (otherArgs: readonly string[] = []): Promise<void> => {
    const args = ['--port', String(port), '--bind', host, '--dir', folder, '--save', ''];
    const durable = ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction', '--loglevel', 'warning'];
    const [program, ...before] = [...(ignoresFileLimit ? IGNORES_FILE_LIMIT : []), REDIS_SERVER];
    const started = spawn(program, [...before, ...args, ...durable, ...extraArgs, ...otherArgs], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    server = started;
    let output = '';
    started.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    started.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await eventually(`${REDIS_SERVER} answers on ${host}:${port}`, async () => {
      if (started.exitCode !== null) throw new Error(`${REDIS_SERVER} ended: ${output}`);
      return (await ping(host, port)) === '+PONG';
    });
  };
  const ended = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = server;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      ending.once('exit', () => resolve());
      ending.kill(signal);
    });
  };
  await start();
  const url = `redis://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  return {
    port,
    url,
    settings: { url, mode: 'standalone', nodes: [], sentinelName: '', password: '', ca: '' },
    pid: () => server?.pid ?? 0,
    isUp: () => server !== undefined && server.exitCode === null && server.signalCode === null,
    kill: () => ended('SIGKILL'),
    shutdown: () => ended('SIGTERM'),
    restart: start,
    async stop() {
      await ended('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export function freePort(host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, host, () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

async function ping(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => socket.write('PING\r\n'));
    socket.once('data', (data) => {
      resolve(data.toString().trim());
      socket.destroy();
    });
    socket.once('error', () => resolve(''));
  });
}
