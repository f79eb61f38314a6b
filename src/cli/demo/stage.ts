import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readPresence } from '../../ops/presence.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../../redis/connect.ts';
import { keysOf } from '../../redis/keys.ts';
import { CliError, EXIT } from '../fail.ts';

/** The demo's app. It is a sample and belongs to no one. */
export const DEMO_APP_ID = 1400000000;
const WORKERS = ['worker-1', 'worker-2'];
const START_MS = 20_000;
const GRACE_MS = 8_000;

/** A process that the demo started. Its output goes to `logFile`. */
interface Child {
  readonly name: string;
  readonly logFile: string;
  /** Resolves with a phrase that says how the process ended. */
  readonly ended: Promise<string>;
  /** Does nothing when the process has ended. */
  kill(signal: NodeJS.Signals): void;
}

/** All that the demo runs: a folder, a Redis, a simulator and workers. After `close` nothing is left. */
export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'imsync-demo-'));
  readonly #secretFile = join(this.folder, 'secret-key');
  /** Signs the UserSigs, and is the simulator's control token. */
  readonly #secret = randomBytes(32).toString('hex');
  /** The environment with which any verb of imsync joins the demo. */
  readonly settings: Record<string, string> = {
    IMSYNC_SDK_APP_ID: String(DEMO_APP_ID),
    IMSYNC_SDK_SECRET_KEY_FILE: this.#secretFile,
  };
  /** Aborted with a CliError when the demo cannot go on, or is over. Only the first reason counts. */
  readonly over = new AbortController();
  readonly #children: Child[] = [];
  #redis: RedisClient | undefined;

  constructor() {
    writeFileSync(this.#secretFile, this.#secret, { mode: 0o600 });
  }

  /** Starts a Redis with an append-only file on a free loopback port, and connects to it. */
  async startRedis(): Promise<RedisClient> {
    const port = await freePort();
    this.#start('redis', 'redis-server', [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', this.folder, '--save', ''],
      ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'],
    ]);
    const url = `redis://127.0.0.1:${port}`;
    this.settings.IMSYNC_REDIS_URL = url;
    const settings = { url, mode: 'standalone', nodes: [], sentinelName: '', password: '', ca: '' } as const;
    this.#redis = openRedis(settings, 'loop', 'demo', () => undefined);
    await whenReady(this.#redis, START_MS);
    return this.#redis;
  }

  async startSimulator(): Promise<void> {
    const args = ['simulate', '--port', '0', '--control-token-file', this.#secretFile];
    const child = this.#startImsync('simulator', args);
    this.settings.IMSYNC_BASE_URL = await this.until('simulator', () => urlInLog(child));
  }

  /** Resolves when every worker has written its presence to Redis. */
  async startWorkers(redis: RedisClient): Promise<void> {
    for (const name of WORKERS) this.#startImsync(name, ['worker']);
    await this.until('workers', async () => {
      const present = await readPresence(redis, keysOf(DEMO_APP_ID), Date.now());
      return present.length >= WORKERS.length ? present : undefined;
    });
  }

  /** Starts the relay; resolves when it works. */
  async startRelay(): Promise<void> {
    const { logFile } = this.#startImsync('relay', ['relay']);
    await this.until(
      'relay',
      () => readFileSync(logFile, 'utf8').includes('"msg":"the relay works"') || undefined,
    );
  }

  /** Starts a server of another kind, as `owner` if one is given. It must run until the stage closes. */
  startServer(
    name: string,
    command: string,
    args: readonly string[],
    owner: { uid: number; gid: number } | undefined,
  ): void {
    this.#start(name, command, args, owner);
  }

  opsUrls(): readonly string[] {
    return this.#workers().flatMap((child) => urlInLog(child) ?? []);
  }

  /** Asks the simulator's control API under /_sim/. */
  async askSimulator(path: string, init: RequestInit = {}): Promise<string> {
    const response = await fetch(`${this.settings.IMSYNC_BASE_URL}/_sim/${path}`, {
      ...init,
      headers: { Authorization: `Bearer ${this.#secret}` },
      signal: this.over.signal,
    });
    if (!response.ok) throw new Error(`The simulator answered ${response.status} to /_sim/${path}.`);
    return response.text();
  }

  /** Stops everything. `keepFolder` keeps the logs. */
  async close(keepFolder: boolean): Promise<void> {
    this.over.abort(new CliError(EXIT.failed, 'The demo is being stopped.'));
    // Workers and relay need Redis and the database for an orderly end, so they stop first.
    await Promise.all(
      this.#children.filter(({ name }) => name === 'relay' || WORKERS.includes(name)).map(stop),
    );
    if (this.#redis !== undefined) await closeRedis(this.#redis);
    await Promise.all(this.#children.map(stop));
    rmSync(keepFolder ? this.#secretFile : this.folder, { recursive: true, force: true });
  }

  /** Kills the processes and removes the folder at once, for an exit that cannot wait. */
  abandon(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  #workers(): Child[] {
    return this.#children.filter(({ name }) => WORKERS.includes(name));
  }

  #startImsync(name: string, args: readonly string[]): Child {
    return this.#start(name, process.execPath, [cliPath(), ...args]);
  }

  /** From now on the process must run until the stage closes. */
  #start(
    name: string,
    command: string,
    args: readonly string[],
    owner?: { uid: number; gid: number },
  ): Child {
    this.over.signal.throwIfAborted();
    const logFile = join(this.folder, `${name}.log`);
    const log = openSync(logFile, 'a', 0o600);
    const env = childEnv(this.settings);
    // Its own process group: Ctrl-C reaches only the demo, which then stops its children in order.
    const running = spawn(command, args, { ...owner, env, stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    const ended = new Promise<string>((resolve) => {
      running.once('error', (error) => resolve(`could not be started (${error.message})`));
      running.once('exit', (code, signal) =>
        resolve(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
      );
    });
    const child = { name, logFile, ended, kill: (signal: NodeJS.Signals) => running.kill(signal) };
    this.#children.push(child);
    void ended.then((how) => this.over.abort(unexpectedEnd(child, how)));
    return child;
  }

  /** Polls `look` until it returns a value. */
  async until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const deadlineMs = performance.now() + START_MS;
    while (performance.now() < deadlineMs) {
      const seen = await look();
      if (seen !== undefined) return seen;
      await sleep(25, undefined, { signal: this.over.signal });
    }
    throw new CliError(EXIT.failed, `The demo's ${what} did not start within ${START_MS / 1_000} s.`);
  }
}

/** Returns the path of `dist/cli.js`, as seen from `dist/cli/demo`. */
export function cliPath(): string {
  return fileURLToPath(new URL('../../cli.js', import.meta.url));
}

/** Sends SIGTERM, and SIGKILL after 8 s. Resolves when the process has ended. */
async function stop(child: Child): Promise<void> {
  child.kill('SIGTERM');
  await Promise.race([child.ended, sleep(GRACE_MS, undefined, { ref: false })]);
  child.kill('SIGKILL');
  await child.ended;
}

/** The error for a process that should still run. It quotes the end of the process's output. */
function unexpectedEnd({ name, logFile }: Child, how: string): CliError {
  const last = readFileSync(logFile, 'utf8').trim().split('\n').slice(-2).join('\n  ');
  // The output of a killed process does not say why it ended.
  const quote = last === '' || how.startsWith('was ended') ? '' : ` Its last output:\n  ${last}`;
  return new CliError(EXIT.failed, `The demo's ${name} ${how} unexpectedly.${quote}`);
}

/** The address that a simulator or a worker listens on, once it has logged it. */
function urlInLog({ logFile }: Child): string | undefined {
  const lines = readFileSync(logFile, 'utf8').split('\n');
  const line = lines.find((text) => /"msg":"(simulator is ready|ops server listens).*\}$/.test(text));
  return line === undefined ? undefined : (JSON.parse(line) as { url: string }).url;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Leaves out the user's own imsync settings: the demo must not reach a real app or a real Redis. */
function childEnv(settings: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('IMSYNC_') && name !== 'NODE_ENV',
  );
  return {
    ...Object.fromEntries(inherited),
    ...settings,
    IMSYNC_OPS_PORT: '0',
    IMSYNC_SHUTDOWN_TIMEOUT_MS: '5000',
  };
}
