import { eventually } from '../support/eventually.ts';
import { type IdleDropper, startIdleDropper } from '../support/idle-dropper.ts';
import type { ImsyncProcess } from '../support/process.ts';
import { drained, linesOf, type Stage, setStage } from '../support/stage.ts';

/** Load balancers and NAT forget connections that were idle for long, with a reset or without a word. */

const TOKEN = 't-3fa2d80c95b14e76';
/** Of a command to Redis that somebody waits for (`commandTimeout` in src/redis/options.ts), and some room. */
const COMMAND_DEADLINE_MS = 10_000 + 5_000;
/** A connection without an answer is dead after 15 s. */
const HEALED_MS = 30_000;

const IDLE_MS = 1_500;

let stage: Stage;
let toRedis: IdleDropper;
let toApi: IdleDropper;
let worker: ImsyncProcess;
let accepted = 0;

beforeAll(async () => {
  stage = await setStage();
  toRedis = await startIdleDropper(stage.redis.port);
  toApi = await startIdleDropper(Number(new URL(stage.simulator.url).port));
  worker = await stage.worker({
    IMSYNC_REDIS_URL: `redis://127.0.0.1:${toRedis.port}`,
    IMSYNC_BASE_URL: `http://127.0.0.1:${toApi.port}`,
    IMSYNC_INTAKE_PORT: '0',
    IMSYNC_INTAKE_TOKENS: TOKEN,
    IMSYNC_CALL_TIMEOUT_MS: '3500',
  });
}, 60_000);
afterAll(async () => {
  await stage.end();
  await Promise.all([toRedis.close(), toApi.close()]);
}, 60_000);

const urlOf = (msg: string): string => String(linesOf(worker, msg)[0]?.url);

async function push(): Promise<number> {
  const { status } = await fetch(`${urlOf('HTTP intake listens')}/v1/users`, {
    method: 'POST',
    signal: AbortSignal.timeout(COMMAND_DEADLINE_MS),
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ userId: `u${accepted}` }),
  });
  if (status === 202) accepted++;
  return status;
}
async function statusCode(): Promise<number> {
  const signal = AbortSignal.timeout(COMMAND_DEADLINE_MS);
  return (await fetch(`${urlOf('ops server listens')}/status`, { signal })).status;
}

/** Uses every connection, and leaves them alone until there are idle ones to forget. */
async function forgotten(way: IdleDropper, how: 'silently' | 'reset'): Promise<void> {
  expect(await push()).toBe(202);
  expect(await statusCode()).toBe(200);
  await drained(stage);
  const usedAtMs = performance.now();
  let count = 0;
  await eventually('all that were used until now are idle', () => {
    const isLast = performance.now() - usedAtMs > IDLE_MS;
    count += way.forget(IDLE_MS, how);
    return isLast && count > 0;
  });
}

async function allImported(): Promise<void> {
  await drained(stage);
  expect(stage.simulator.accounts.size).toBe(accepted);
}

test.each([['reset'], ['silently']] as const)(
  'idle connections to the API that are forgotten (%s) cost no event',
  async (how) => {
    await forgotten(toApi, how);
    expect(await push()).toBe(202);
    await allImported();
  },
  60_000,
);

test('idle connections to Redis that are reset are made again at once', async () => {
  await forgotten(toRedis, 'reset');
  await eventually('the worker has noticed', async () => (await statusCode()) === 200);
  expect(await push()).toBe(202);
  await allImported();
}, 60_000);

test('of idle connections to Redis that vanish, nobody waits longer than the deadline, and the next ones are sound', async () => {
  await forgotten(toRedis, 'silently');
  const answers = await Promise.all([push(), statusCode()]);
  // They were on dead connections: else this would prove nothing.
  expect(answers).toEqual([503, 503]);
  const healed = async (): Promise<boolean> => (await push()) === 202 && (await statusCode()) === 200;
  await eventually('all goes on', healed, HEALED_MS);
  await allImported();
}, 90_000);
