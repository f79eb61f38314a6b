import { type ExecFileException, execFile } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { openRedis, type RedisClient, whenReady } from '../redis/connect.ts';
import { type Child, DemoError } from './child.ts';
import type { Output } from './progress.ts';

const run = promisify(execFile);

const WHAT_TO_INSTALL =
  'redis-server 6.2 or newer is needed on the PATH: install it (Debian, Ubuntu: ' +
  'apt-get install redis-server; macOS: brew install redis) and start again.';

const APT_STEPS: readonly (readonly string[])[] = [
  ['update', '-qq'],
  ['install', '-y', '-qq', '--no-install-recommends', 'redis-server'],
];
const START_MS = 3_000;
const START_TRIES = 3;

/**
 * Returns the path of redis-server on the PATH. If it is missing and this is root, apt-get installs it.
 * Otherwise it throws a DemoError that says what to install. `signal` ends an installation.
 */
export async function findRedisServer(
  output: Output,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<string> {
  const found = onPath('redis-server', env);
  if (found !== undefined) return found;
  const apt = onPath('apt-get', env);
  if (apt === undefined || process.getuid?.() !== 0) throw new DemoError(WHAT_TO_INSTALL, true);
  output.line('redis-server is not installed. The demo installs it with apt-get; this takes a moment.');
  const startedMs = performance.now();
  const seconds = (): number => Math.round((performance.now() - startedMs) / 1_000);
  const timer = setInterval(
    () => {
      const text = `installing redis-server … ${seconds()} s`;
      if (output.isTerminal) output.block([text]);
      else output.line(text);
    },
    output.isTerminal ? 1_000 : 10_000,
  );
  try {
    for (const args of APT_STEPS) await runApt(apt, args, env, signal);
  } finally {
    clearInterval(timer);
    output.block([]);
  }
  const installed = onPath('redis-server', env);
  if (installed === undefined) throw new DemoError(WHAT_TO_INSTALL, true);
  output.line(`redis-server is installed (${seconds()} s); it stays installed after the demo.`);
  return installed;
}

function onPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Rejects with a DemoError that quotes the end of apt-get's output. */
async function runApt(
  apt: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<void> {
  try {
    await run(apt, args, { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, signal });
  } catch (error) {
    const { code, message, stdout = '', stderr = '' } = error as ExecFileException;
    const last = `${stdout}${stderr}`.trim().split('\n').slice(-3).join(' | ');
    const how = typeof code === 'number' ? `failed with exit code ${code}` : `could not be run (${message})`;
    const quote = last === '' ? '' : `: ${last}`;
    throw new DemoError(`apt-get ${args[0]} ${how}${quote}. ${WHAT_TO_INSTALL}`, true);
  }
}

export interface RunningRedis {
  readonly redis: RedisClient;
  readonly url: string;
  readonly child: Child;
}

/**
 * Starts a Redis with an append-only file in `folder`, on a free loopback port, and connects to it.
 * It tries three times, since another process may take the port meanwhile. `start` starts a process.
 */
export async function startRedisServer(
  redisServer: string,
  folder: string,
  start: (name: string, command: string, args: readonly string[]) => Child,
): Promise<RunningRedis> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const child = start(`redis-${attempt}`, redisServer, redisArgs(port, folder));
    const url = `redis://127.0.0.1:${port}`;
    const redis = openRedis(
      { url, mode: 'standalone', nodes: [], sentinelName: '', password: '', ca: '' },
      'loop',
      'demo',
      () => undefined,
    );
    const ready = whenReady(redis, START_MS).then(
      () => '',
      (error: Error) => error.message,
    );
    const problem = await Promise.race([ready, child.ended]);
    if (problem === '' && child.isRunning) return { redis, url, child };
    redis.disconnect();
    await child.stop();
    if (attempt === START_TRIES) throw child.unexpectedEnd(problem);
  }
}

function redisArgs(port: number, folder: string): string[] {
  return [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
    ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'],
  ];
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
