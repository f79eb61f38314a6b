import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readPresence } from '../ops/presence.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../redis/connect.ts';
import { type Keys, keysOf } from '../redis/keys.ts';
import { type Child, startChild } from './child.ts';
import { DemoError } from './demo-error.ts';
import { createSimulatorControl, type SimulatorControl } from './simulator-control.ts';

/** The app of the demo: a sample, nobody's. */
export const DEMO_APP_ID = 1400000000;
const WORKERS = ['worker-1', 'worker-2'] as const;
const START_MS = 20_000;
const REDIS_START_MS = 3_000;
const REDIS_TRIES = 3;

/**
 * Everything the demo runs on: a folder, a Redis, a simulator, workers. What was set up last is taken down
 * first; after `close` nothing of it is left, nor can anything be added.
 */
export interface Stage {
  readonly folder: string;
  /** Rejects with a DemoError when a child ends that should run. */
  readonly broken: Promise<never>;
  startRedis(redisServer: string): Promise<{ readonly redis: RedisClient; readonly url: string }>;
  startSimulator(scenario: object): Promise<SimulatorControl>;
  /** Resolves when all of them have given a sign of life. */
  startWorkers(): Promise<readonly Child[]>;
  /** The environment that lets any verb of imsync join in. */
  settings(): Readonly<Record<string, string>>;
  /** Base URLs of the workers' ops servers. */
  opsUrls(): readonly string[];
  /** `keepFolder` leaves the logs. Twice is once. */
  close(keepFolder: boolean): Promise<void>;
  /** For an exit that cannot wait: kills the children and removes the folder, at once. */
  abandon(): void;
}

export function createStage(): Stage {
  const folder = mkdtempSync(join(tmpdir(), 'imsync-demo-'));
  const children: Child[] = [];
  const keyFile = join(folder, 'secret-key');
  const tokenFile = join(folder, 'control-token');
  writeFileSync(keyFile, randomBytes(32).toString('hex'), { mode: 0o600 });
  const settings: Record<string, string> = {
    IMSYNC_SDK_APP_ID: String(DEMO_APP_ID),
    IMSYNC_SDK_SECRET_KEY_FILE: keyFile,
  };
  let redis: RedisClient | undefined;
  let closing: Promise<void> | undefined;
  let breakOff: (error: DemoError) => void = () => undefined;
  const broken = new Promise<never>((_, reject) => {
    breakOff = reject;
  });
  // Whoever waits hears of it; that nobody does at the moment is no fault.
  broken.catch(() => undefined);

  const start = (name: string, command: string, args: readonly string[]): Child => {
    if (closing !== undefined) throw new DemoError('The demo is being stopped.');
    const child = startChild({ name, command, args, env: childEnv(settings), folder });
    children.push(child);
    return child;
  };
  /** From here on it must not end by itself. */
  const watch = (child: Child): void => {
    child.ended.then((how) => {
      if (closing === undefined) breakOff(endedTooSoon(child, how));
    });
  };
  const startImsync = (name: string, args: readonly string[]): Child => {
    const child = start(name, process.execPath, [cliPath(), ...args]);
    watch(child);
    return child;
  };

  const closeOnce = async (keepFolder: boolean): Promise<void> => {
    // Workers first: they want Redis to leave in order. Redis and simulator after them.
    const workers = children.filter(({ name }) => name.startsWith('worker'));
    await Promise.all(workers.map((child) => child.stop()));
    if (redis !== undefined) await closeRedis(redis);
    await Promise.all(children.map((child) => child.stop()));
    for (const path of keepFolder ? [keyFile, tokenFile] : [folder]) {
      rmSync(path, { recursive: true, force: true });
    }
  };

  return {
    folder,
    broken,
    async startRedis(redisServer) {
      for (let attempt = 1; ; attempt++) {
        const port = await freePort();
        const child = start(`redis-${attempt}`, redisServer, redisArgs(port, folder));
        const url = `redis://127.0.0.1:${port}`;
        const client = openRedis(
          { url, mode: 'standalone', nodes: [], sentinelName: '', password: '', ca: '' },
          'loop',
          'demo',
          () => undefined,
        );
        redis = client;
        const reached = await Promise.race([
          whenReady(client, REDIS_START_MS).then(
            () => '',
            (error: Error) => error.message,
          ),
          child.ended,
        ]);
        if (reached === '' && child.isRunning) {
          watch(child);
          settings.IMSYNC_REDIS_URL = url;
          return { redis: client, url };
        }
        // Somebody may have taken the port meanwhile.
        client.disconnect();
        await child.stop();
        if (attempt === REDIS_TRIES) throw endedTooSoon(child, reached);
      }
    },
    async startSimulator(scenario) {
      const scenarioFile = join(folder, 'scenario.json');
      const token = randomBytes(24).toString('base64url');
      writeFileSync(scenarioFile, JSON.stringify(scenario));
      writeFileSync(tokenFile, token, { mode: 0o600 });
      const child = startImsync('simulator', [
        ...['simulate', '--port', '0', '--scenario', scenarioFile, '--control-token-file', tokenFile],
      ]);
      const url = await until(child, 'to be ready', () => urlSaid(child.output(), 'simulator is ready'));
      settings.IMSYNC_BASE_URL = url;
      return createSimulatorControl(url, token);
    },
    async startWorkers() {
      const workers = WORKERS.map((name) => startImsync(name, ['worker']));
      const [first] = workers;
      const keys: Keys = keysOf(DEMO_APP_ID);
      const client = redis;
      if (first === undefined || client === undefined) throw new RangeError('workers come after Redis');
      await until(first, 'and its like to start', async () => {
        const seen = await readPresence(client, keys, Date.now());
        return seen.length >= workers.length ? seen : undefined;
      });
      return workers;
    },
    settings: () => ({ ...settings }),
    opsUrls: () =>
      children
        .filter(({ name }) => name.startsWith('worker'))
        .flatMap((child) => urlSaid(child.output(), 'ops server listens') ?? []),
    close(keepFolder) {
      closing ??= closeOnce(keepFolder);
      return closing;
    },
    abandon() {
      for (const child of children) child.killNow();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** `dist/cli.js`, as seen from `dist/demo`. */
export function cliPath(): string {
  return fileURLToPath(new URL('../cli.js', import.meta.url));
}

function redisArgs(port: number, folder: string): string[] {
  return [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
    ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'],
  ];
}

/** Nothing of the caller's own imsync settings: the demo must not reach a real app, nor a real Redis. */
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

/** The `url` of the JSON line whose `msg` begins like this. */
function urlSaid(output: string, msg: string): string | undefined {
  const line = output.split('\n').find((text) => text.includes(`"msg":"${msg}`) && text.endsWith('}'));
  return line === undefined ? undefined : (JSON.parse(line) as { url: string }).url;
}

async function until<T>(
  child: Child,
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (!child.isRunning) throw endedTooSoon(child, await child.ended);
    if (performance.now() > deadline) {
      throw new DemoError(`The demo waited ${START_MS / 1_000} s for ${child.name} ${what}, in vain.`);
    }
    await sleep(25);
  }
}

function endedTooSoon(child: Child, how: string): DemoError {
  const last = child.output().trim().split('\n').slice(-2).join('\n  ');
  // Of one that was killed they say nothing.
  const words = last === '' || how.startsWith('was ended') ? '' : ` Its last words:\n  ${last}`;
  return new DemoError(`The demo's ${child.name} ${how}, which it should not.${words}`);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
