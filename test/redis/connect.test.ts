import { createServer, type Server } from 'node:net';
import {
  type ConnectionChange,
  closeRedis,
  listenOn,
  openRedis,
  whenReady,
} from '../../src/redis/connect.ts';
import { eventually } from '../support/eventually.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis-server.ts';

/** A connection, from its opening to its end; of a Redis that comes and goes. */

let server: TestRedis;
/** Opens a connection to this file's server or to another address. */
function open(role: 'loop' | 'oneshot', url = server.url) {
  const changes: ConnectionChange[] = [];
  const client = openRedis({ ...server.settings, url }, role, 'test', (change) => changes.push(change));
  return { client, changes, states: () => changes.map(({ state }) => state) };
}

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

test('each change is reported once, regardless of the number of attempts', async () => {
  const { client, states } = open('loop');
  await whenReady(client, 30_000);
  // A ready connection is not waited for. A cluster emits `ready` more than once.
  await whenReady(client, 1);
  client.emit('ready');
  expect(states()).toEqual(['reachable']);
  let tries = 0;
  client.on('close', () => tries++);
  await server.kill();
  // A loop's command waits for Redis to come back, however often that fails.
  const answer = client.ping().catch(({ message }: Error) => message);
  await eventually('it has tried again and again', () => tries >= 4);
  expect(states()).toEqual(['reachable', 'lost']);
  await server.restart();
  expect(await answer).toBe('PONG');
  expect(states()).toEqual(['reachable', 'lost', 'reachable']);
  await closeRedis(client);
});

test('a connection that is cut without an error is reported, too', async () => {
  const { client, changes } = open('loop');
  await whenReady(client, 30_000);
  const id = await client.client('ID');
  const other = open('loop').client;
  await other.client('KILL', 'ID', id);
  await eventually('it is there again', () => changes.length === 3);
  expect(changes).toEqual([
    { state: 'reachable' },
    { state: 'lost', reason: 'the connection was closed' },
    { state: 'reachable' },
  ]);
  await Promise.all([client, other].map(closeRedis));
});

test('whenReady rejects with the reason after its time-out, and closing takes no time', async () => {
  const port = await freePort();
  const { client, changes } = open('oneshot', `redis://127.0.0.1:${port}`);
  await expect(whenReady(client, 300)).rejects.toThrow(`ECONNREFUSED 127.0.0.1:${port}`);
  expect(changes).toEqual([{ state: 'lost', reason: expect.stringContaining('ECONNREFUSED') }]);
  await closeRedis(client);
});

test('a server that accepts and never answers is reported as "no answer"', async () => {
  const silent: Server = createServer(() => undefined).listen(0, '127.0.0.1');
  await eventually('it listens', () => silent.address() !== null);
  const { port } = silent.address() as { port: number };
  const { client } = open('oneshot', `redis://127.0.0.1:${port}`);
  await expect(whenReady(client, 300)).rejects.toThrow('no answer');
  await closeRedis(client);
  silent.close();
});

test('closing does not wait for a Redis that hangs', async () => {
  const { client } = open('loop');
  await whenReady(client, 30_000);
  await listenOn(client, 'news');
  process.kill(server.pid(), 'SIGSTOP');
  try {
    // It answers no goodbye. What only the time-out of the connection ends takes longer than this deadline.
    let closed = false;
    void closeRedis(client).then(() => {
      closed = true;
    });
    await eventually('it is closed', () => closed && client.status === 'end', 10_000);
  } finally {
    process.kill(server.pid(), 'SIGCONT');
  }
});

test('a connection that breaks during closing is closed', async () => {
  const { client } = open('oneshot');
  await whenReady(client, 30_000);
  process.kill(server.pid(), 'SIGSTOP');
  const closing = closeRedis(client);
  await server.kill();
  await closing;
  await server.restart();
});
