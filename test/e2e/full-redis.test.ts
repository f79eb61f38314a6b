import { UserCreatedProducer } from '../../src/producer/producer.ts';
import { audit } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { TEST_APP } from '../support/simulator.ts';
import { drained, linesOf, logOf, type Stage, setStage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await setStage({
    scenario: {
      latencyMs: [10, 60],
      rules: [
        { match: { rate: 0.1 }, action: { errorCode: 70500 } },
        { match: { userIdPattern: '^bad' }, action: { accountCode: 70402 } },
      ],
    },
  });
}, 120_000);
afterAll(() => stage.end(), 60_000);

/** Over its limit from now on, whatever is freed. */
async function fillRedis(): Promise<void> {
  const used = Number(/used_memory:(\d+)/.exec(await stage.client.info('memory'))?.[1]);
  await stage.client.config('SET', 'maxmemory', String(Math.floor(used / 2)));
  await expect(stage.client.set('ballast', 'x')).rejects.toThrow('OOM command not allowed');
}
const freeRedis = () => stage.client.config('SET', 'maxmemory', '0');
const commandsSoFar = async (): Promise<number> =>
  Number(/total_commands_processed:(\d+)/.exec(await stage.client.info('stats'))?.[1]);

test('a full Redis takes no event, says so, and drains to the end; when there is room again, all goes on', async () => {
  const producer = new UserCreatedProducer({ sdkAppId: TEST_APP.sdkAppId, redis: stage.redis.settings });
  const add = async (count: number, prefix: string) => {
    const users = Array.from({ length: count }, (_, i) => ({ userId: `${prefix}${i}`, nick: `N${i}` }));
    for (const accepted of await producer.addMany(users)) if (!accepted.ok) throw accepted.error;
  };
  // Works before and after, and starts while there is no room.
  const first = await stage.worker({ IMSYNC_BATCH_MAX_SIZE: '20' });
  await add(1_500, 'u');
  await add(20, 'bad');
  await add(500, 'u');
  await fillRedis();
  const second = await stage.worker({ IMSYNC_BATCH_MAX_SIZE: '20' });
  await expect(add(1, 'x')).rejects.toThrow(
    /Redis did not take the event: OOM command not allowed when used memory/,
  );
  await drained(stage);
  expect((await audit(stage.client, stage.keys)).problems).toEqual([]);
  expect(stage.simulator.accounts.size).toBe(1_500);
  expect(await stage.client.zcard(stage.keys.deadByTime)).toBe(20);

  // Nothing to do, and nothing that could be done: it is quiet.
  const before = await commandsSoFar();
  await eventually('some time passes', async () => {
    const [seconds] = await stage.client.time();
    startedAt ??= Number(seconds);
    return Number(seconds) - startedAt >= 4;
  });
  const ofTheTest = 4 * 55;
  expect((await commandsSoFar()) - before - ofTheTest).toBeLessThan(400);
  const status = JSON.parse((await stage.verb(['status', '--json'])).stdout);
  expect(status).toMatchObject({ redis: { memory: 'full' }, workers: [{}, {}] });
  for (const worker of [first, second]) {
    expect(linesOf(worker, 'Redis is ').map(({ memory }) => memory)).toEqual(['full']);
    expect(
      logOf(worker).filter(({ level, msg }) => level === 'error' && !/^Redis is/.test(String(msg))),
    ).toEqual([]);
  }

  await freeRedis();
  await add(100, 'y');
  await drained(stage);
  expect(stage.simulator.accounts.size).toBe(1_600);
  await first.line('Redis has no memory limit: there is room for all again');
  await producer.close();
}, 180_000);
let startedAt: number | undefined;
