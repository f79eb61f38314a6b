import { type ConnectionChange, closeRedis, openRedis } from '../../src/redis/connect.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis } from '../support/redis-server.ts';

test('a connection that is made anew since it leads to a replica says so, not that it was closed', async () => {
  const server = await startRedis();
  const changes: ConnectionChange[] = [];
  const client = openRedis(server.settings, 'oneshot', 'test', (change) => changes.push(change));
  const admin = openRedis(server.settings, 'loop', 'test', () => undefined);
  try {
    await admin.call('REPLICAOF', '127.0.0.1', '1');
    await eventually('it is reachable', () => changes.length === 1);
    await expect(client.set('key', 'value')).rejects.toThrow('READONLY');
    await eventually('it stands again', () => changes.length === 3);
    expect(changes).toEqual([
      { state: 'reachable' },
      { state: 'lost', reason: expect.stringMatching(/^READONLY/) },
      { state: 'reachable' },
    ]);
    // What breaks it afterwards has a reason of its own.
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await eventually('it was broken', () => changes.length > 3);
    expect(changes[3]).toEqual({ state: 'lost', reason: 'the connection was closed' });
  } finally {
    await Promise.all([client, admin].map(closeRedis));
    await server.stop();
  }
}, 60_000);
