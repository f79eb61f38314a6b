import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readPresence } from '../ops/presence.ts';
import { closeRedis, type RedisClient } from '../redis/connect.ts';
import { keysOf } from '../redis/keys.ts';
import { Child, DemoError } from './child.ts';
import { startRedisServer } from './redis-server.ts';

/** The demo's app. It is a sample and belongs to no one. */
export const DEMO_APP_ID = 1400000000;
const WORKERS = ['worker-1', 'worker-2'];
const CONTROL_TIMEOUT_MS = 20_000;

/** The part of the simulator's report that the demo shows. */
export interface SimulatorFacts {
  readonly accounts: number;
  readonly longestStallMs: number;
  readonly commands: Readonly<Record<string, CommandFacts | undefined>>;
}

interface CommandFacts {
  readonly calls: number;
  readonly accepted: number;
  readonly items: number;
  readonly startedLastSecond: number;
  readonly maxInRollingSecond: number;
  /** Without arrivals that share a second only because of late timestamps of the simulator. */
  readonly maxSurelyInRollingSecond: number;
  readonly byErrorCode: Readonly<Record<string, number>>;
}

/** A client of the simulator's control API under /_sim/. */
export class SimulatorControl {
  readonly url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.#token = token;
  }

  async report(): Promise<SimulatorFacts> {
    return JSON.parse(await this.#request('report')) as SimulatorFacts;
  }

  /** Replaces the scenario. Its times count from now. */
  async setScenario(scenario: object): Promise<void> {
    const headers = { Authorization: `Bearer ${this.#token}` };
    await this.#request('faults', { method: 'PUT', headers, body: JSON.stringify(scenario) });
  }

  /** Returns the nick of every account by user ID, or '' for an account without one. */
  async accounts(): Promise<ReadonlyMap<string, string>> {
    const lines = (await this.#request('accounts')).split('\n').filter((line) => line !== '');
    const accounts = lines.map((line) => JSON.parse(line) as { userId: string; nick?: string });
    return new Map(accounts.map(({ userId, nick = '' }) => [userId, nick]));
  }

  async #request(path: string, init: RequestInit = {}): Promise<string> {
    const signal = AbortSignal.timeout(CONTROL_TIMEOUT_MS);
    const response = await fetch(`${this.url}/_sim/${path}`, { ...init, signal });
    if (!response.ok) throw new Error(`The simulator answered ${response.status} to /_sim/${path}.`);
    return response.text();
  }
}

/**
 * Everything that the demo runs: a folder, a Redis, a simulator and workers.
 * The workers stop first. After `close` nothing is left, and nothing can be started.
 */
export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'imsync-demo-'));
  /** Rejects with a DemoError when a process ends that should run. */
  readonly broken: Promise<never>;
  #reportBroken: (error: DemoError) => void = () => undefined;
  readonly #children: Child[] = [];
  readonly #keyFile = join(this.folder, 'secret-key');
  readonly #tokenFile = join(this.folder, 'control-token');
  readonly #settings: Record<string, string> = {
    IMSYNC_SDK_APP_ID: String(DEMO_APP_ID),
    IMSYNC_SDK_SECRET_KEY_FILE: this.#keyFile,
  };
  #redis: RedisClient | undefined;
  #closing: Promise<void> | undefined;

  constructor() {
    writeFileSync(this.#keyFile, randomBytes(32).toString('hex'), { mode: 0o600 });
    this.broken = new Promise<never>((_, reject) => {
      this.#reportBroken = reject;
    });
    // A rejection while nothing waits for `broken` is no unhandled one.
    this.broken.catch(() => undefined);
  }

  async startRedis(redisServer: string): Promise<RedisClient> {
    const { redis, url, child } = await startRedisServer(redisServer, this.folder, (...command) =>
      this.#start(...command),
    );
    // The stage was closed while Redis started: nothing else would close the connection.
    if (this.#closing !== undefined) redis.disconnect();
    this.#redis = redis;
    this.#watch(child);
    this.#settings.IMSYNC_REDIS_URL = url;
    return redis;
  }

  async startSimulator(scenario: object): Promise<SimulatorControl> {
    const scenarioFile = join(this.folder, 'scenario.json');
    const token = randomBytes(24).toString('base64url');
    writeFileSync(scenarioFile, JSON.stringify(scenario));
    writeFileSync(this.#tokenFile, token, { mode: 0o600 });
    const files = ['--scenario', scenarioFile, '--control-token-file', this.#tokenFile];
    const child = this.#startImsync('simulator', ['simulate', '--port', '0', ...files]);
    const url = await child.until('start', () => child.urlInLog('simulator is ready'));
    this.#settings.IMSYNC_BASE_URL = url;
    return new SimulatorControl(url, token);
  }

  /** Resolves when every worker has written its presence to Redis. */
  async startWorkers(redis: RedisClient): Promise<void> {
    const workers = WORKERS.map((name) => this.#startImsync(name, ['worker']));
    await workers[0]?.until('start', async () => {
      const present = await readPresence(redis, keysOf(DEMO_APP_ID), Date.now());
      return present.length >= workers.length ? present : undefined;
    });
  }

  /** Returns the environment with which any verb of imsync joins the demo. */
  settings(): Readonly<Record<string, string>> {
    return { ...this.#settings };
  }

  opsUrls(): readonly string[] {
    return this.#workers().flatMap((child) => child.urlInLog('ops server listens') ?? []);
  }

  /** Stops everything. `keepFolder` keeps the logs. A second call does nothing more. */
  close(keepFolder: boolean): Promise<void> {
    this.#closing ??= this.#closeOnce(keepFolder);
    return this.#closing;
  }

  /** Kills the processes and removes the folder at once, for an exit that cannot wait. */
  abandon(): void {
    for (const child of this.#children) child.killNow();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #closeOnce(keepFolder: boolean): Promise<void> {
    // The workers need Redis for an orderly end, so they stop first.
    await Promise.all(this.#workers().map((child) => child.stop()));
    if (this.#redis !== undefined) await closeRedis(this.#redis);
    await Promise.all(this.#children.map((child) => child.stop()));
    for (const path of keepFolder ? [this.#keyFile, this.#tokenFile] : [this.folder]) {
      rmSync(path, { recursive: true, force: true });
    }
  }

  #workers(): Child[] {
    return this.#children.filter(({ name }) => name.startsWith('worker'));
  }

  #startImsync(name: string, args: readonly string[]): Child {
    const child = this.#start(name, process.execPath, [cliPath(), ...args]);
    this.#watch(child);
    return child;
  }

  #start(name: string, command: string, args: readonly string[]): Child {
    if (this.#closing !== undefined) throw new DemoError('The demo is being stopped.');
    const child = new Child(name, command, args, childEnv(this.#settings), this.folder);
    this.#children.push(child);
    return child;
  }

  /** From now on the process must run until the stage closes. */
  #watch(child: Child): void {
    child.ended.then((how) => {
      if (this.#closing === undefined) this.#reportBroken(child.unexpectedEnd(how));
    });
  }
}

/** Returns the path of `dist/cli.js`, as seen from `dist/demo`. */
export function cliPath(): string {
  return fileURLToPath(new URL('../cli.js', import.meta.url));
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
