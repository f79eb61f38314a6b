import type { UserInput } from '../../../../src/event/fields.ts';
import { type Checkpoint, newCheckpoint, type Reject } from '../../../../src/tasks/backfill/import-files.ts';
import { importRows } from '../../../../src/tasks/backfill/import-rows.ts';
import { addWithin } from '../../../../src/tasks/backfill/stream-writer.ts';
import type { Presence } from '../../../../src/tasks/check-users.ts';
import type { Row } from '../../../../src/tasks/rows/columns.ts';

const START = newCheckpoint('i');

async function* rowsOf(userIds: readonly string[]): AsyncGenerator<Row> {
  for (const [at, userId] of userIds.entries()) yield { line: at + 2, user: { userId }, raw: [userId] };
}

interface World {
  /** Users that Redis has acknowledged, in their order. */
  readonly added: string[];
  readonly asked: string[][];
  readonly rejected: number[];
  readonly saved: Checkpoint[];
  /** Called before each step is acknowledged. */
  onAdd: () => void;
  readonly abort: AbortController;
}

function world(): World {
  return {
    added: [],
    asked: [],
    rejected: [],
    saved: [],
    onAdd: () => undefined,
    abort: new AbortController(),
  };
}

function run(
  on: World,
  userIds: readonly string[],
  options: { there?: (userId: string) => Presence; from?: Checkpoint; headroom?: number } = {},
): Promise<Checkpoint> {
  const { there, from = START, headroom = 30 } = options;
  const limit = async (wanted: number) => {
    on.abort.signal.throwIfAborted();
    return Math.min(headroom, wanted);
  };
  const write = async (added: readonly UserInput[]) => {
    on.onAdd();
    on.added.push(...added.map(({ userId }) => userId));
  };
  return importRows({
    rows: rowsOf(userIds),
    rules: { adminId: 'administrator', allowDecimals: false, odd: { saw() {} } },
    checks: there && {
      ask: async (asked) => {
        on.asked.push([...asked]);
        return new Map(asked.map((userId) => [userId, there(userId)]));
      },
    },
    add: (added) => addWithin(limit, write, () => false, added),
    rejects: {
      get bytes() {
        return on.rejected.length;
      },
      add: async (rejects: readonly Reject[]) => {
        on.rejected.push(...rejects.map(({ row }) => row.line));
      },
    },
    from,
    save: async (checkpoint) => {
      on.saved.push(checkpoint);
    },
    onProgress: (checkpoint) => {
      on.saved.push(checkpoint);
    },
    signal: on.abort.signal,
  });
}

const users = (count: number): string[] => Array.from({ length: count }, (_, i) => `u${i}`);

test('adds all rows in their order and checks at most 100 users at a time', async () => {
  const on = world();
  const end = await run(on, users(250), { there: () => ({ kind: 'missing' }) });
  expect(on.added).toEqual(users(250));
  expect(on.asked.map(({ length }) => length)).toEqual([100, 100, 50]);
  expect(end).toMatchObject({ rows: 250, counts: { rows: 250, added: 250, there: 0 } });
});

test('checks a user once and adds the user twice when the file names the user twice', async () => {
  const on = world();
  const end = await run(on, ['a', 'b', 'a'], { there: () => ({ kind: 'missing' }) });
  expect(on.asked).toEqual([['a', 'b']]);
  expect(on.added).toEqual(['a', 'b', 'a']);
  expect(end.counts).toMatchObject({ rows: 3, added: 3 });
});

test('adds all users when there are no checks', async () => {
  const on = world();
  await run(on, users(5));
  expect(on.added).toEqual(users(5));
});

test('skips accounts that exist, and rejects invalid rows and users without a verdict', async () => {
  const on = world();
  const there = (userId: string): Presence =>
    userId === 'u1'
      ? { kind: 'imported' }
      : userId === 'u2'
        ? { kind: 'refused', errorCode: 70402, errorInfo: 'no' }
        : { kind: 'missing' };
  const end = await run(on, ['u0', 'u1', 'u2', 'no good', 'u3'], { there });
  expect(on.added).toEqual(['u0', 'u3']);
  expect(on.rejected).toEqual([4, 5]);
  expect(end.counts).toEqual({ rows: 5, added: 2, there: 1, unasked: 1, rejected: 1 });
});

test('saves rows as done only after they were acknowledged, rejects included', async () => {
  const on = world();
  const all = users(1_000).map((userId, i) => (i % 100 === 7 ? 'no good' : userId));
  const check = (): void => {
    const { rows = 0, rejectBytes = 0 } = on.saved.at(-1) ?? {};
    const done = all.slice(0, rows);
    const good = done.filter((userId) => userId !== 'no good');
    expect(on.added.slice(0, good.length)).toEqual(good);
    expect(rejectBytes).toBe(done.length - good.length);
    expect(on.rejected.length).toBeGreaterThanOrEqual(rejectBytes);
  };
  let steps = 0;
  on.onAdd = () => {
    steps++;
    check();
  };
  await run(on, all);
  check();
  expect(steps).toBeGreaterThan(30);
});

test('ends after the current step when stopped, and a second run goes on without a gap', async () => {
  const on = world();
  let steps = 0;
  on.onAdd = () => {
    steps++;
    if (steps === 8) on.abort.abort();
  };
  const stopped = await run(on, users(1_000));
  expect(stopped.rows).toBe(200);
  expect(on.saved.at(-1)).toEqual(stopped);
  expect(steps).toBe(8);
  const again = world();
  const end = await run(again, users(1_000), { from: stopped });
  expect(again.added).toEqual(users(1_000).slice(200));
  expect(end.counts.rows).toBe(1_000);
  // Redis had the last step and the checkpoint did not: its rows came twice, and none was left out.
  expect(new Set([...on.added, ...again.added]).size).toBe(1_000);
});

test('saves the checkpoint before it rejects', async () => {
  const on = world();
  const breaking = run(on, users(1_000), {
    there: (userId) => {
      if (userId === 'u500') throw new Error('the API has gone');
      return { kind: 'missing' };
    },
  });
  await expect(breaking).rejects.toThrow('the API has gone');
  expect(on.saved.at(-1)?.rows).toBe(500);
  expect(on.added).toEqual(users(500));
});
