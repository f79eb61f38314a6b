import { closeRedis, listenOn, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { eventually } from '../support/eventually.ts';
import { type HalfOpenProxy, startHalfOpenProxy } from '../support/half-open-proxy.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

/** Packets vanish and no socket closes: TCP would notice after a quarter of an hour. */

let server: TestRedis;
let proxy: HalfOpenProxy;
let sound: HalfOpenProxy;
let direct: RedisClient;
const clients: RedisClient[] = [];
const lost: string[] = [];

/** As long as BullMQ blocks: nearly as long as a dead connection has no answer. */
const BLOCKS_SECONDS = 10;

const open = ({ port }: HalfOpenProxy): RedisClient => {
  const settings = { ...server.settings, url: `redis://127.0.0.1:${port}` };
  const client = openRedis(settings, 'loop', 'test', (change) => {
    if (change.state === 'lost') lost.push(change.reason);
  });
  clients.push(client);
  return client;
};

beforeAll(async () => {
  server = await startRedis();
  proxy = await startHalfOpenProxy(server.port);
  sound = await startHalfOpenProxy(server.port);
  direct = openRedis(server.settings, 'loop', 'test', () => undefined);
});
afterAll(async () => {
  await Promise.all([...clients, direct].map(closeRedis));
  await proxy.close();
  await sound.close();
  await server.stop();
});

test('dead connections are made anew, whatever they wait for; those that merely wait are left alone', async () => {
  const patient = open(sound);
  const idle = open(sound);
  await Promise.all([patient.ping(), idle.ping()]);
  // As long as anybody here blocks, again and again.
  const waits = patient
    .bzpopmin('nothing', BLOCKS_SECONDS)
    .then(() => patient.bzpopmin('nothing', BLOCKS_SECONDS));

  const commands = open(proxy);
  const blocking = open(proxy);
  const listener = open(proxy);
  const heard: string[] = [];
  listener.on('message', (_channel: string, message: string) => heard.push(message));
  await listenOn(listener, 'news');
  await Promise.all([commands.ping(), blocking.ping()]);

  const read = blocking.bzpopmin('wanted', BLOCKS_SECONDS);
  proxy.vanish();
  const counted = commands.incr('count');
  proxy.pass();
  // Redis takes the one that is gone for alive: it may give the first to it.
  await eventually('what is blocked for comes', async () => {
    await direct.zadd('wanted', 1, 'a');
    return Promise.race([read.then(() => true), new Promise((resolve) => setTimeout(resolve, 200))]);
  });
  expect(await counted).toBe(1);
  await eventually('news is heard again', async () => {
    await direct.publish('news', 'x');
    return heard.length > 0;
  });
  expect(await waits).toBeNull();
  expect(sound.connections).toBe(2);
  expect(new Set(lost)).toEqual(
    new Set(['no answer for 15 s: the connection is considered dead and made again']),
  );
  expect(lost).toHaveLength(3);
}, 120_000);
