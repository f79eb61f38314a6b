import { prepareForBullmq } from '../../../src/calls/bullmq/bullmq.ts';
import type { RedisClient } from '../../../src/redis/connect.ts';

const { jest } = import.meta;
const LUA = 'return 1';

/** A connection that notes the commands BullMQ defines and the duplicates it makes. It sends nothing. */
function connection(isCluster = false, run: () => Promise<unknown> = async () => 'done') {
  const defined: Record<string, string> = {};
  const duplicates: unknown[] = [];
  const plain: Record<string, unknown> = {
    isCluster,
    defineCommand(name: string, { lua }: { lua: string }) {
      defined[name] = lua;
      plain[name] = run;
    },
    duplicate: (_nodes: unknown, options: unknown) => duplicates.push(options),
  };
  const client = plain as unknown as RedisClient;
  return { client, plain, defined, duplicates };
}

describe('preparing a connection for a full Redis', () => {
  it('makes only the scripts that move calls on begin with a harmless write', () => {
    const { client, defined } = connection();
    expect(prepareForBullmq(client)).toBe(client);
    for (const name of ['moveToActive:6.7.0', 'moveToFinished', 'addDelayedJob:6.7.0', 'obliterate'])
      client.defineCommand(name, { lua: LUA });
    const writes = Object.entries(defined).map(([name, lua]) => [name, lua.startsWith("redis.call('DEL'")]);
    expect(writes).toEqual([
      ['moveToActive:6.7.0', true],
      ['moveToFinished', true],
      ['addDelayedJob:6.7.0', true],
      ['obliterate', false],
    ]);
    for (const lua of Object.values(defined)) expect(lua.endsWith(LUA)).toBe(true);
  });

  it('puts no line before a #!', () => {
    const { client, defined } = connection();
    prepareForBullmq(client);
    client.defineCommand('moveToActive', { lua: `#!lua\n${LUA}` });
    expect(defined.moveToActive).toBe(`#!lua\n${LUA}`);
  });

  it('adds the write once, however often the connection is prepared', () => {
    const { client, defined } = connection();
    prepareForBullmq(prepareForBullmq(client));
    client.defineCommand('moveToActive', { lua: LUA });
    expect(defined.moveToActive?.match(/DEL/g)).toHaveLength(1);
  });
});

describe('an error of Redis', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const ended = async (name: string, run: () => Promise<unknown>, afterMs: number): Promise<unknown> => {
    const { client, plain } = connection(false, run);
    prepareForBullmq(client);
    client.defineCommand(name, { lua: LUA });
    let end: unknown = 'nothing yet';
    (plain[name] as () => Promise<unknown>)().then(
      (answer) => {
        end = answer;
      },
      (error: Error) => {
        end = error.message;
      },
    );
    await jest.advanceTimersByTimeAsync(afterMs);
    return end;
  };
  const refuse = () => Promise.reject(new Error('READONLY'));

  it('to a fetch is passed on after half a second; an answer is passed on at once', async () => {
    expect(await ended('moveToActive:6.7.0', refuse, 499)).toBe('nothing yet');
    expect(await ended('moveToActive:6.7.0', refuse, 500)).toBe('READONLY');
    expect(await ended('moveToActive:6.7.0', async () => 'a job', 0)).toBe('a job');
  });

  it('to any other command is passed on at once', async () => {
    expect(await ended('moveToFinished:6.7.0', refuse, 0)).toBe('READONLY');
  });
});

it('a blocked command fails before the watchdog of BullMQ on a cluster; a single Redis is left as it is', () => {
  const cluster = connection(true);
  prepareForBullmq(cluster.client);
  (cluster.client.duplicate as (nodes: unknown, options: unknown) => unknown)([], { lazyConnect: true });
  expect(cluster.duplicates).toEqual([{ lazyConnect: true, maxRedirections: 10 }]);
  const single = connection();
  prepareForBullmq(single.client);
  (single.client.duplicate as (nodes: unknown, options: unknown) => unknown)([], { lazyConnect: true });
  expect(single.duplicates).toEqual([{ lazyConnect: true }]);
});
