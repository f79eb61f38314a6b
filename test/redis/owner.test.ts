import { Cluster } from 'ioredis';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { ownerInfo, ownerTimeMs, writeNothing } from '../../src/redis/owner.ts';
import { eventually } from '../support/eventually.ts';
import { startCluster, type TestCluster } from '../support/redis-cluster.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

/** Questions about a server go to the one that holds the keys. */

const apps = [1400000000, 1400000001, 1400000002, 1400000003, 1400000004].map(keysOf);

describe('on a cluster', () => {
  let cluster: TestCluster;
  let client: RedisClient;
  beforeAll(async () => {
    cluster = await startCluster(false);
    client = openRedis(cluster.settings, 'loop', 'test', () => undefined);
    await whenReady(client, 30_000);
  });
  afterAll(async () => {
    await closeRedis(client);
    await cluster.stop();
  });

  test('INFO, the clock and writeNothing use the node that holds the keys, for every app', async () => {
    expect(client).toBeInstanceOf(Cluster);
    const owners = new Set<number>();
    for (const keys of apps) {
      const owner = await cluster.ownerOf(keys.stream);
      owners.add(owner.port);
      await cluster.everywhere((node) => node.call('CONFIG', 'RESETSTAT'));
      for (let i = 0; i < 5; i++) {
        expect(await ownerInfo(client, keys)).toContain(`\ntcp_port:${owner.port}\r`);
        expect(Math.abs((await ownerTimeMs(client, keys)) - Date.now())).toBeLessThan(60_000);
        await writeNothing(client, keys);
      }
      const asked = await cluster.everywhere(async (node, { port }) => {
        const stats = await node.info('commandstats');
        const times = /cmdstat_time:calls=(\d+)/.exec(stats)?.[1] ?? '0';
        const writes = /cmdstat_hdel:calls=(\d+)/.exec(stats)?.[1] ?? '0';
        return [port === owner.port, times, writes];
      });
      expect(asked.filter(([isOwner]) => isOwner)).toEqual([[true, '5', '5']]);
      expect(asked.filter(([isOwner]) => !isOwner)).toEqual([
        [false, '0', '0'],
        [false, '0', '0'],
      ]);
    }
    // Else it would prove nothing.
    expect(owners.size).toBeGreaterThan(1);
  });

  test('a user who may not ask INFO learns the version, and nothing of a role, which may be of another node', async () => {
    const rules = ['on', '>secret', '~*', '&*', '+@all', '-info'];
    await cluster.everywhere((node) => node.call('ACL', 'SETUSER', 'uninformed', ...rules));
    const settings = { ...cluster.settings, username: 'uninformed', password: 'secret' };
    const uninformed = openRedis(settings, 'loop', 'test', () => undefined);
    try {
      for (const keys of apps)
        expect(await ownerInfo(uninformed, keys)).toMatch(/^redis_version:\d+\.\d+\.\d+$/);
    } finally {
      await closeRedis(uninformed);
    }
  });
});

describe('writeNothing', () => {
  let server: TestRedis;
  let client: RedisClient;
  beforeAll(async () => {
    server = await startRedis();
    client = openRedis(server.settings, 'oneshot', 'test', () => undefined);
    await whenReady(client, 30_000);
  });
  afterAll(async () => {
    await closeRedis(client);
    await server.stop();
  });
  const [keys = keysOf(1)] = apps;

  test('leaves nothing behind and is not refused by full memory', async () => {
    await client.call('CONFIG', 'SET', 'maxmemory', '1');
    await writeNothing(client, keys);
    await client.call('CONFIG', 'SET', 'maxmemory', '0');
    expect(await client.keys('*')).toEqual([]);
  });

  test('is refused by a replica', async () => {
    const there = openRedis(server.settings, 'loop', 'test', () => undefined);
    try {
      await there.call('REPLICAOF', '127.0.0.1', '1');
      await expect(writeNothing(client, keys)).rejects.toThrow(/READONLY|closed|max retries/);
      await there.call('REPLICAOF', 'NO', 'ONE');
      await eventually('it takes writes again', async () => {
        await writeNothing(client, keys);
        return true;
      });
    } finally {
      await closeRedis(there);
    }
  });
});
