import { type CutAnswer, type CutCall, type CutLimits, cutCalls } from '../../src/intake/cut.ts';
import { type Claim, claimRecord } from '../../src/ledger/claim.ts';
import type { CallRecord } from '../../src/ledger/record.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { type Keys, keysOf } from '../../src/redis/keys.ts';
import { audit, booksProblems } from '../support/audit.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

export const BATCH = 'multiaccount_import';
export const SINGLE = 'account_import';

/** Quiet unless told otherwise: whatever waits is cut at once. */
export const limits: CutLimits = {
  batchCommand: BATCH,
  singleCommand: SINGLE,
  maxUsers: 100,
  maxWaitMs: 60_000,
  eagerCalls: 1_000_000,
  eagerGapMs: 0,
  maxOpenCalls: 1_000_000,
  alone: 'nobody',
};

/** The old form: profiles and robots go alone. */
export const oldForm = { alone: 'profile-or-robot' } as const;

/** An app of its own on the file's redis-server, and what a test does to it. */
export interface Stage {
  readonly redis: RedisClient;
  readonly keys: Keys;
  /** A connection of another process. */
  connect(): RedisClient;
  /** The same by way of another port. */
  connectBy(way: (port: number) => Promise<number>): Promise<RedisClient>;
  /** XADDs `*`, in order; answers the event IDs. */
  add(...entries: readonly (readonly (string | Buffer)[])[]): Promise<string[]>;
  cut(changed?: Partial<CutLimits>): Promise<CutAnswer>;
  /** Cuts until nothing waits or nothing more may be cut. */
  cutAll(changed?: Partial<CutLimits>): Promise<CutCall[]>;
  claim(callId: string, run: string): Promise<Claim>;
  /** Claims, and expects the record. */
  take(callId: string, run: string): Promise<CallRecord>;
  /** What is wrong with the books, by recount and by the contract's equation. */
  problems(): Promise<readonly string[]>;
}

/** Starts a redis-server for the tests of a file; each test takes a fresh stage of it. */
export function useStages(): () => Stage {
  let server: TestRedis;
  let apps = 1_400_000_000;
  const clients: RedisClient[] = [];
  const connectBy: Stage['connectBy'] = async (way) => {
    const url = `redis://127.0.0.1:${await way(server.port)}`;
    const client = openRedis({ ...server.settings, url }, 'loop', 'test', () => undefined);
    clients.push(client);
    return client;
  };
  const connect = (): RedisClient => {
    const client = openRedis(server.settings, 'loop', 'test', () => undefined);
    clients.push(client);
    return client;
  };
  beforeAll(async () => {
    server = await startRedis();
  }, 60_000);
  afterAll(async () => {
    await Promise.all(clients.map(closeRedis));
    await server.stop();
  }, 60_000);
  let shared: RedisClient | undefined;
  return () => {
    shared ??= connect();
    return stageOf(shared, keysOf(apps++), connect, connectBy);
  };
}

function stageOf(
  redis: RedisClient,
  keys: Keys,
  connect: Stage['connect'],
  connectBy: Stage['connectBy'],
): Stage {
  const cut: Stage['cut'] = (changed = {}) => cutCalls({ redis, keys }, { ...limits, ...changed });
  const claim: Stage['claim'] = (callId, run) => claimRecord({ redis, keys }, callId, run, 64_000);
  return {
    redis,
    keys,
    connect,
    connectBy,
    add: async (...entries) => {
      const pipeline = redis.pipeline();
      for (const fields of entries) pipeline.xadd(keys.stream, '*', ...fields);
      return ((await pipeline.exec()) ?? []).map(([error, eventId]) => {
        if (error) throw error;
        return String(eventId);
      });
    },
    cut,
    cutAll: async (changed) => {
      const calls: CutCall[] = [];
      for (;;) {
        const answer = await cut(changed);
        if (answer.kind !== 'cut') return calls;
        calls.push(...answer.calls);
      }
    },
    claim,
    take: async (callId, run) => {
      const taken = await claim(callId, run);
      if (taken.kind !== 'yours') throw new Error(`${callId} could not be claimed: ${taken.kind}`);
      return taken.record;
    },
    problems: async () => [...(await audit(redis, keys)).problems, ...(await booksProblems(redis, keys))],
  };
}

/** The calls of an answer that must be a cut. */
export function callsOf(answer: CutAnswer): readonly CutCall[] {
  if (answer.kind !== 'cut') throw new Error(`nothing was cut: ${JSON.stringify(answer)}`);
  return answer.calls;
}

/** The one call of an answer that must be a cut of one. */
export function callOf(answer: CutAnswer): CutCall {
  const [call, ...more] = callsOf(answer);
  if (call === undefined || more.length > 0) throw new Error(`not one call: ${JSON.stringify(answer)}`);
  return call;
}

export function user(userId: string, ...more: readonly string[]): string[] {
  return ['userId', userId, ...more];
}

export function users(count: number, prefix = 'u'): string[][] {
  return Array.from({ length: count }, (_, i) => user(`${prefix}${i}`));
}
