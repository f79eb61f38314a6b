import type { Cluster, Redis } from 'ioredis';

/** What ioredis 6 leaves undone, with the private members that are relied on. */

/** The message of ioredis for a command on a connection that has ended. */
const CLOSED = 'Connection is closed.';

/**
 * A connection that closes before it is ready leaves the commands of its handshake behind at the next attempt:
 * nobody answers or rejects them, and their time-outs keep the process for 10 s. This rejects them at once.
 * ioredis itself handles the rejections, as it does when a connection is given up.
 */
export function leavesNothingBehind(client: Redis): Redis {
  const { flushQueue } = client as unknown as {
    flushQueue(error: Error, options: { offlineQueue: boolean }): void;
  };
  let isReady = false;
  client.on('ready', () => {
    isReady = true;
  });
  client.on('close', () => {
    // What was on its way on a ready connection is sent again on the next one.
    if (!isReady) flushQueue.call(client, new Error(CLOSED), { offlineQueue: false });
    isReady = false;
  });
  return client;
}

type InfoCallback = (error: Error | null, info?: unknown) => void;

/**
 * Before a connection is ready, ioredis asks INFO whether Redis still loads its data. Where the user may not ask,
 * it goes on, and writes a line of its own to standard error at each connect. This goes on without the line.
 * Only ioredis asks with a callback.
 */
export function goesOnWithoutInfo(client: Redis): Redis {
  const ask = client.info.bind(client) as (...args: unknown[]) => Promise<string>;
  client.info = ((...args: unknown[]) => {
    const callback = args.at(-1);
    if (typeof callback !== 'function') return ask(...args);
    const report = callback as InfoCallback;
    const quietly: InfoCallback = (error, info) =>
      error?.message.includes('NOPERM') ? report(null, {}) : report(error, info);
    return ask(...args.slice(0, -1), quietly);
  }) as Redis['info'];
  // BullMQ uses a duplicate for its blocking command.
  const duplicate = client.duplicate.bind(client);
  client.duplicate = ((override) => goesOnWithoutInfo(duplicate(override))) as Redis['duplicate'];
  return client;
}

/**
 * The connections that ask sentinels or nodes report their errors to nobody, and a command on them fails with
 * "Connection is closed." This returns the error that closed it.
 */
function closedBy(asking: Pick<Redis, 'on'>): (error: Error) => Error {
  let cause: Error | undefined;
  asking.on('error', (error: Error) => {
    cause = error;
  });
  return (error) => (error.message === CLOSED && cause !== undefined ? cause : error);
}

export function namesErrorsOfSentinels(client: Redis): Redis {
  const { connector } = client as unknown as {
    connector: {
      connectToSentinel?(...args: unknown[]): Redis;
      resolve(endpoint: unknown): Promise<unknown>;
    };
  };
  const connect = connector.connectToSentinel?.bind(connector);
  if (connect === undefined) return client;
  let explain = (error: Error): Error => error;
  connector.connectToSentinel = (...args) => {
    const sentinel = connect(...args);
    explain = closedBy(sentinel);
    return sentinel;
  };
  const resolve = connector.resolve.bind(connector);
  connector.resolve = (endpoint) =>
    resolve(endpoint).catch((error: Error) => {
      throw explain(error);
    });
  return client;
}

type SlotsCallback = (error: Error | null, slots?: SlotRange[]) => void;
/** First and last slot, then nodes: host, port and more. */
type SlotRange = [from: number, to: number, ...nodes: [host: string | null, port: number][]];

/**
 * In the answer to CLUSTER SLOTS an empty host stands for the server that was asked: a cluster of one node that
 * has met no other does not know its own address. ioredis leaves such nodes out, and would have none. It asks
 * by a duplicate of each node's connection.
 */
export function fillsInEmptyHosts(cluster: Cluster): Cluster {
  cluster.on('+node', (node: Redis) => {
    goesOnWithoutInfo(node);
    const duplicate = node.duplicate.bind(node);
    node.duplicate = ((override) => {
      const connection = duplicate(override);
      const explain = closedBy(connection);
      const asking = connection as unknown as {
        options: { host?: string };
        cluster(command: 'SLOTS', callback: SlotsCallback): unknown;
      };
      const ask = asking.cluster.bind(asking);
      asking.cluster = (command, callback) =>
        ask(command, (error, slots = []) => {
          for (const [, , ...nodes] of slots) for (const one of nodes) one[0] ||= asking.options.host ?? '';
          callback(error && explain(error), slots);
        });
      return asking;
    }) as Redis['duplicate'];
  });
  return cluster;
}
