import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import type { RedisSettings } from '../../src/redis/options.ts';
import { eventually } from './eventually.ts';
import { freePort, startRedis, type TestRedis } from './redis-server.ts';

/** A Redis Cluster on loopback: three primaries, each with a replica. */
export interface TestCluster {
  readonly settings: RedisSettings;
  /** What a process needs to use it. */
  readonly env: Readonly<Record<string, string>>;
  /** The primary that holds the slot of this key at present. */
  ownerOf(key: string): Promise<TestRedis>;
  /** Runs a command at each node. */
  everywhere<T>(ask: (client: RedisClient, node: TestRedis) => Promise<T>): Promise<T[]>;
  stop(): Promise<void>;
}

const NODE_TIMEOUT_MS = 1_500;
const PRIMARIES = 3;
const SLOTS = 16_384;

/** `replicas`: one for each primary, or none. */
export async function startCluster(replicas = true): Promise<TestCluster> {
  const nodes = await Promise.all(
    Array.from({ length: replicas ? 2 * PRIMARIES : PRIMARIES }, async () => {
      const busPort = await freePort();
      const node = await startRedis([
        ...['--cluster-enabled', 'yes', '--cluster-port', String(busPort)],
        ...['--cluster-node-timeout', String(NODE_TIMEOUT_MS), '--cluster-replica-validity-factor', '0'],
        ...['--repl-diskless-sync-delay', '0'],
      ]);
      return { node, busPort };
    }),
  );
  const atNode = async <T>(node: TestRedis, ask: (client: RedisClient) => Promise<T>): Promise<T> => {
    const client = openRedis(node.settings, 'loop', 'test', () => undefined);
    try {
      return await ask(client);
    } finally {
      await closeRedis(client);
    }
  };
  const everywhere: TestCluster['everywhere'] = (ask) =>
    Promise.all(nodes.map(({ node }) => atNode(node, (client) => ask(client, node))));
  const settled = (): Promise<unknown> =>
    eventually('all nodes agree that the cluster is up', async () => {
      const infos = await everywhere((client) => client.call('CLUSTER', 'INFO'));
      return infos.every(
        (info) =>
          String(info).includes('cluster_state:ok') &&
          String(info).includes(`cluster_known_nodes:${nodes.length}`),
      );
    });

  const primaries = nodes.slice(0, PRIMARIES);
  const share = Math.ceil(SLOTS / PRIMARIES);
  await Promise.all(
    primaries.map(({ node }, i) =>
      atNode(node, async (client) => {
        const last = Math.min(SLOTS, (i + 1) * share) - 1;
        await client.call('CLUSTER', 'ADDSLOTSRANGE', String(i * share), String(last));
        await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1));
      }),
    ),
  );
  const [first] = nodes;
  for (const { node } of nodes.slice(1)) {
    if (first === undefined) continue;
    await atNode(node, (client) =>
      client.call('CLUSTER', 'MEET', '127.0.0.1', String(first.node.port), String(first.busPort)),
    );
  }
  await settled();
  for (const [i, { node }] of nodes.slice(PRIMARIES).entries()) {
    const primary = primaries[i];
    if (primary === undefined) continue;
    const id = await atNode(primary.node, (client) => client.call('CLUSTER', 'MYID'));
    await atNode(node, (client) => client.call('CLUSTER', 'REPLICATE', String(id)));
    await eventually('the replica follows', () =>
      atNode(node, async (client) => (await client.info('replication')).includes('master_link_status:up')),
    );
  }

  const started = nodes.map(({ node }) => ({ host: '127.0.0.1', port: node.port }));
  return {
    settings: {
      url: 'redis://127.0.0.1:6379',
      mode: 'cluster',
      nodes: started,
      sentinelName: '',
      password: '',
      ca: '',
    },
    env: {
      IMSYNC_REDIS_MODE: 'cluster',
      IMSYNC_REDIS_NODES: started.map(({ host, port }) => `${host}:${port}`).join(','),
    },
    async ownerOf(key) {
      const live = nodes.filter(({ node }) => node.isUp());
      const [any] = live;
      if (any === undefined) throw new Error('no node of the cluster is up');
      const port = await atNode(any.node, async (client) => {
        const slot = Number(await client.call('CLUSTER', 'KEYSLOT', key));
        const ranges = (await client.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
        return ranges.find(([from, to]) => from <= slot && slot <= to)?.[2][1];
      });
      const owner = nodes.find(({ node }) => node.port === port);
      if (owner === undefined) throw new Error(`no node holds ${key}`);
      return owner.node;
    },
    everywhere,
    stop: async () => {
      await Promise.all(nodes.map(({ node }) => node.stop()));
    },
  };
}
