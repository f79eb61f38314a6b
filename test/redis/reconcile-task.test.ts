import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import type { Presence } from '../../src/tasks/check-users.ts';
import { type ReconcileParts, reconcile } from '../../src/tasks/reconcile/reconcile.ts';
import { NO_COUNTS, readReconcile } from '../../src/tasks/reconcile/reconcile-state.ts';
import type { Row } from '../../src/tasks/rows/columns.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

let server: TestRedis;
let redis: RedisClient;
const keys = keysOf(1);
beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
});
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

const idOf = (at: number): string => `u${String(at).padStart(5, '0')}`;
const rowOf = (userId: string, nick: string): Row => ({
  line: 1,
  raw: [userId, nick],
  key: userId,
  user: { userId, nick },
});

/** A table whose nicks are given by `nickOf` at each reading. None of its users has an account. */
function partsOf(rows: number, nickOf: (userId: string) => string, more: Partial<ReconcileParts> = {}) {
  const parts: ReconcileParts = {
    ...{ redis, keys },
    source: {
      async *rows(after) {
        for (let at = 0; at < rows; at++)
          if (idOf(at) > (after?.key ?? '')) yield rowOf(idOf(at), nickOf(idOf(at)));
      },
      again: async (wanted) => wanted.map((key) => rowOf(key, nickOf(key))),
    },
    rules: { adminId: 'administrator', allowDecimals: true, odd: { saw: () => undefined } },
    checks: {
      ask: async (userIds) => new Map(userIds.map((id): [string, Presence] => [id, { kind: 'missing' }])),
    },
    add: undefined,
    onMissing: async () => undefined,
    onProgress: () => undefined,
    from: { identity: 'x', startedAt: 1, counts: NO_COUNTS },
    signal: new AbortController().signal,
    nowMs: () => 2,
    graceMs: 0,
    ...more,
  };
  return parts;
}

test('a run that was broken off goes on after the last stretch, and counts every user once', async () => {
  const stop = new AbortController();
  const seen: string[] = [];
  const broken = await reconcile(
    partsOf(40_000, () => 'n', {
      signal: stop.signal,
      onMissing: async (rows) => {
        seen.push(...rows.map(({ row }) => row.key ?? ''));
        // In the second stretch, whose users are then looked at again.
        if (seen.length > 18_000) stop.abort();
      },
    }),
  );
  expect(broken.isEnd).toBe(false);
  const { open } = await readReconcile({ redis, keys });
  expect(open?.counts.rows).toBeGreaterThanOrEqual(5_000);
  expect(open?.key).toBe(idOf((open?.counts.rows ?? 0) - 1));
  const whole = await reconcile(partsOf(40_000, () => 'n', { ...(open && { from: open }) }));
  expect(whole).toMatchObject({ isEnd: true, counts: { rows: 40_000, missing: 40_000 } });
  expect(await readReconcile({ redis, keys })).toMatchObject({
    open: null,
    last: { endedAt: 2, counts: { rows: 40_000 } },
  });
});

test('a profile that changes while its user is added is added again, so that the newest is last', async () => {
  const nicks = ['read first', 'read again', 'after the first adding', 'after the second adding'];
  const added: string[] = [];
  let reads = 0;
  const nickOf = (): string => nicks[Math.min(reads, nicks.length - 1)] ?? '';
  const parts = partsOf(1, nickOf);
  await reconcile({
    ...parts,
    source: {
      ...parts.source,
      async again(wanted) {
        reads++;
        return parts.source.again(wanted);
      },
    },
    add: async (users) => void added.push(...users.map(({ nick }) => nick ?? '')),
  });
  expect(added.at(-1)).toBe('after the second adding');
  expect(added).toHaveLength(2);
});
