import { createHoldState } from '../../src/hold/hold-state.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { createSlotClient, type SlotAnswer } from '../../src/pace/slot.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

const keys = keysOf(1);
let redis: TestRedis;
let client: RedisClient;

beforeAll(async () => {
  redis = await startRedis();
  client = openRedis(redis.settings, 'loop', 'test', () => undefined);
}, 60_000);
afterAll(async () => {
  await closeRedis(client);
  await redis.stop();
}, 60_000);

test('a probe that was given up makes room for the next one at once', async () => {
  const book = createSlotClient(client, keys, 'multiaccount_import', createRedisClock(), 10_000);
  const hold = createHoldState(client, keys);
  await client.hset(`${keys.callPrefix}c1`, 'run', 'r');
  await hold.blocked({ epoch: '0', probe: false }, { errorCode: 70398, errorInfo: '', kind: 'quota' });
  // As after a proof that was not good enough: a waiting call is the probe.
  await client.hset(keys.hold, 'proof', 'import');
  const ask = () => book.ask([{ callId: 'c1', run: 'r', slotClass: 'live' }]);
  const isSlot = (answer: SlotAnswer) => (answer.kind === 'slot' ? answer.slot : undefined);

  const probe = await eventually('the first probe', async () => isSlot(await ask()));
  expect(probe.probe).toBe(true);
  // Leased: nobody else gets one while it is out.
  const meanwhile = await ask();
  expect(meanwhile).toMatchObject({ kind: 'held' });
  expect(meanwhile.kind === 'held' && meanwhile.waitMs).toBeGreaterThan(2_000);

  await book.giveUp(probe);
  await hold.missed(probe);
  const next = await eventually('the next probe', async () => isSlot(await ask()), 5_000);
  expect(next.probe).toBe(true);
}, 60_000);
