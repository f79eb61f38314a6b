import type { Outcome } from '../../src/event/event.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import { OutcomeInbox } from '../../src/producer/outcome-inbox.ts';
import { UserCreatedProducer } from '../../src/producer/producer.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { settlementBy } from './settlements.ts';
import { callOf, type Stage, user, useStages } from './stage.ts';

const keys = keysOf(7);
const CHANNEL = `${keys.replyPrefix}test`;
let server: TestRedis;
let redis: RedisClient;
const inboxes: OutcomeInbox[] = [];
const newStage = useStages();

beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
}, 60_000);
afterEach(async () => {
  await Promise.all(inboxes.splice(0).map((inbox) => inbox.close()));
});
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
}, 60_000);

function newInbox(more: { maxWaiting?: number } = {}): OutcomeInbox {
  const open = () => openRedis(server.settings, 'oneshot', 'outcomes', () => undefined);
  const inbox = new OutcomeInbox({
    channel: CHANNEL,
    open,
    commands: redis,
    connectTimeoutMs: 5_000,
    maxWaiting: 100,
    ...more,
  });
  inboxes.push(inbox);
  return inbox;
}

const outcomeOf = (eventId: string, outcome: Outcome['outcome'] = 'imported'): Outcome => ({
  eventId,
  userId: 'ann',
  outcome,
  errorCode: 0,
  hasAccount: true,
});
const publish = (outcome: object): Promise<number> => redis.publish(CHANNEL, JSON.stringify(outcome));
/** IDs of the connections that listen. */
async function listeners(): Promise<string[]> {
  const lines = String(await redis.client('LIST')).split('\n');
  return lines.flatMap((line) =>
    /name=imsync-outcomes /.test(line) ? (/id=(\d+)/.exec(line)?.[1] ?? []) : [],
  );
}

test('many waiters share one connection, and each gets the outcome of its own event', async () => {
  const inbox = newInbox();
  const windows = await Promise.all(Array.from({ length: 20 }, () => inbox.expect()));
  const waits = windows.map(({ outcomeOf: wait }, i) => wait(`1-${i}`, 'ann', 30_000));
  for (const window of windows) window.end();
  expect(await listeners()).toHaveLength(1);
  await redis.publish(CHANNEL, 'no JSON');
  await redis.publish(CHANNEL, 'null');
  await publish({ eventId: 7 });
  await publish(outcomeOf('1-1000'));
  for (let i = 19; i >= 0; i--) await publish(outcomeOf(`1-${i}`, i % 2 === 0 ? 'imported' : 'superseded'));
  const heard = await Promise.all(waits);
  expect(heard.map(({ eventId }) => eventId)).toEqual(waits.map((_, i) => `1-${i}`));
  expect(heard[1]).toMatchObject({ outcome: 'superseded', hasAccount: true });
}, 60_000);

test('an outcome that comes before the ID of its event is known is not lost', async () => {
  const inbox = newInbox();
  const window = await inbox.expect();
  expect(await publish(outcomeOf('2-0'))).toBe(1);
  // Messages keep their order: once this outcome is known, the earlier one is known, too.
  const later = window.outcomeOf('2-1', 'ann', 30_000);
  await publish(outcomeOf('2-1'));
  await later;
  expect(await window.outcomeOf('2-0', 'ann', 0)).toMatchObject({ outcome: 'imported' });
  window.end();
}, 60_000);

test('a waiter resolves to pending at its time-out, and a late outcome is ignored', async () => {
  const inbox = newInbox({ maxWaiting: 2 });
  const window = await inbox.expect();
  expect(await window.outcomeOf('3-0', 'ann', 20)).toEqual({
    eventId: '3-0',
    userId: 'ann',
    outcome: 'pending',
    errorCode: 0,
    hasAccount: false,
  });
  const open = [window.outcomeOf('3-1', 'ann', 30_000), window.outcomeOf('3-2', 'ann', 30_000)];
  // More than may wait at a time: answered at once.
  expect(await window.outcomeOf('3-3', 'ann', 30_000)).toMatchObject({ outcome: 'pending' });
  window.end();
  await publish(outcomeOf('3-0'));
  await publish(outcomeOf('3-1'));
  expect(await open[0]).toMatchObject({ outcome: 'imported' });
  await inbox.close();
  expect(await open[1]).toMatchObject({ outcome: 'pending' });
  await expect(inbox.expect()).rejects.toThrow('closed');
}, 60_000);

test('listens again after its connection was cut', async () => {
  const inbox = newInbox();
  const window = await inbox.expect();
  const wait = window.outcomeOf('5-0', 'ann', 30_000);
  window.end();
  const [before = ''] = await listeners();
  await redis.client('KILL', 'ID', before);
  await eventually('it listens again', async () => (await publish(outcomeOf('5-0'))) === 1);
  expect(await wait).toMatchObject({ outcome: 'imported' });
}, 60_000);

test('an outcome that was published without a listener is read after the reconnect', async () => {
  const stage: Stage = newStage();
  const channel = `${stage.keys.replyPrefix}p`;
  const inbox = new OutcomeInbox({
    channel,
    // Comes up only when it is let.
    open: () => openRedis(server.settings, 'oneshot', 'outcomes', () => undefined),
    commands: stage.redis,
    connectTimeoutMs: 5_000,
    maxWaiting: 10,
  });
  inboxes.push(inbox);
  // It listens on another server, so that this server has no listener, as during a reconnect.
  const window = await inbox.expect();
  const [eventId = ''] = await stage.add(user('ann', 'replyTo', channel));
  const wait = window.outcomeOf(eventId, 'ann', 30_000);
  window.end();
  const { callId } = callOf(await stage.cut());
  const record = await stage.take(callId, 'r1');
  const messages = [outcomeOf(eventId)].map((outcome) => ({ channel, message: JSON.stringify(outcome) }));
  const foreign = { channel: 'somebody-elses', message: 'x' };
  const settlement = { ...settlementBy(record, () => 'import'), publish: [...messages, foreign] };
  await settleRecord(stage.redis, stage.keys, callId, 'r1', settlement);
  expect(await stage.redis.exists('somebody-elses')).toBe(0);
  expect(await wait).toMatchObject({ outcome: 'imported' });
  expect(await stage.redis.exists(channel)).toBe(0);

  // No process reads it, so it expires.
  await stage.add(user('bob', 'replyTo', channel));
  const second = callOf(await stage.cut()).callId;
  const again = settlementBy(await stage.take(second, 'r2'), () => 'import');
  await settleRecord(stage.redis, stage.keys, second, 'r2', { ...again, publish: messages });
  expect(await stage.redis.pttl(channel)).toBeGreaterThan(0);
}, 60_000);

test('a Redis that is away, an invalid time-out and an invalid user are reported at once', async () => {
  const producer = new UserCreatedProducer({
    sdkAppId: 7,
    redis: { url: 'redis://127.0.0.1:1' },
    connectTimeoutMs: 300,
  });
  await expect(producer.importUser({ userId: 'ann' })).rejects.toThrow(
    /^Redis did not take the event: its outcome cannot be listened for: .*Try again; a repeat does no harm\.$/,
  );
  await expect(producer.importUser({ userId: 'not ok' })).rejects.toThrow(/printable ASCII/);
  await expect(producer.importUser({ userId: 'ann', replyTo: 'mine' })).rejects.toThrow(/replyTo is set by/);
  await expect(producer.importUser({ userId: 'ann' }, { timeoutMs: Number.NaN })).rejects.toThrow(RangeError);
  await producer.close();
}, 60_000);
