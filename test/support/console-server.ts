import { loadConfig } from '../../src/config/load.ts';
import { maskedView } from '../../src/config/mask.ts';
import type { Links } from '../../src/console/access/links.ts';
import { openConsole } from '../../src/console/server.ts';
import { createUserLookup } from '../../src/http-intake/get-user.ts';
import { createStandardLog } from '../../src/logging/log.ts';
import { closeRedis, openRedis, whenReady } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { CONSOLE_ENV } from './console-api.ts';
import { startRedis, type TestRedis } from './redis-server.ts';
import { TEST_APP } from './simulator.ts';

const { log } = createStandardLog('silent', {}, false);

type ConsoleOptions = Parameters<typeof startConsole> extends [unknown, ...infer Rest] ? Rest : never;

/** The console of this process, on a free port, over a real Redis and without a worker. */
export async function startConsole(
  { url, settings }: TestRedis,
  env: Readonly<Record<string, string>> = {},
  links?: Links,
  readFile = (path: string): string => {
    throw Object.assign(new Error(path), { code: 'ENOENT' });
  },
) {
  const loaded = loadConfig({
    env: { IMSYNC_REDIS_URL: url, IMSYNC_SDK_APP_ID: String(TEST_APP.sdkAppId), ...CONSOLE_ENV, ...env },
    readFile,
  });
  const redis = openRedis(settings, 'oneshot', 'console-test', () => undefined);
  await whenReady(redis, 10_000);
  const keys = keysOf(TEST_APP.sdkAppId);
  const console = await openConsole({
    config: loaded.config,
    ...{ port: 0, redis, keys, readFile, version: '1.2.3' },
    settings: maskedView(loaded),
    status: () => Promise.reject(new Error('Redis cannot be reached at present.')),
    findUser: createUserLookup({ redis, keys, whyNot: 'it is a test' }).find,
    log,
    ...(links !== undefined && { links }),
  });
  const { basePath } = loaded.config.console;
  return {
    /** Without the base path. */
    url: console.url.slice(0, console.url.length - basePath.length),
    redis,
    keys,
    async close(): Promise<void> {
      await console.close();
      await closeRedis(redis);
    },
  };
}

/** A Redis for the tests of a file, and consoles over it that each test may open. They close after it. */
export function useConsoles() {
  let redis: TestRedis;
  const opened: { close(): Promise<void> }[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  }, 30_000);
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
  });
  afterAll(() => redis?.stop());
  return {
    server: () => redis,
    async open(...[env, links, readFile]: ConsoleOptions) {
      const started = await startConsole(redis, env, links, readFile);
      opened.push(started);
      return started;
    },
  };
}
