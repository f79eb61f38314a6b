import { type PendingUser, pendingByUser } from '../../src/delivery/policy/pending-user.ts';
import { Settler } from '../../src/delivery/settler.ts';
import { parseEntry } from '../../src/event/fields.ts';
import { type CallRecord, entriesOf, type Suspicion } from '../../src/ledger/record.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { callOf, type Stage, user, useStages } from './stage.ts';

/** What is parked behind a suspect joins the record when a run takes it over, and at no other time. */
const fresh = useStages();

const SUSPICION: Suspicion = {
  since: 1,
  failures: 1,
  errorCode: 70500,
  httpStatus: 200,
  errorInfo: 'slow down',
  hasAccount: false,
};
const ATTEMPT = { at: 1, command: 'account_import', errorCode: 70500, httpStatus: 200 } as const;

function settlerOf({ redis, keys }: Stage, record: CallRecord, run: string) {
  const parsed = entriesOf(record).map((raw) => parseEntry(raw, { adminId: 'administrator' }));
  const settler = new Settler({
    record,
    users: pendingByUser(
      parsed.filter((entry) => entry.ok),
      record.suspects,
    ),
    isOnWire: () => false,
    store: (settlement) => settleRecord(redis, keys, record.callId, run, settlement),
  });
  const pick = (userId: string): PendingUser => {
    const found = settler.remaining.find((one) => one.userId === userId);
    if (found === undefined) throw new Error(`${userId} is not in the record`);
    return found;
  };
  const settle = (imported: readonly PendingUser[]) =>
    settler.settle({ imported, refused: [], command: 'account_import', passedAtMs: 0 });
  return {
    imports: (userId: string) => settle([pick(userId)]),
    /** The user's call failed alone while others passed: due at once. */
    suspects: (userId: string) => {
      settler.postpone([{ ...pick(userId), suspicion: SUSPICION }], 1, ATTEMPT);
      return settle([]);
    },
    eventsOf: (userId: string) => pick(userId).events.map(({ eventId }) => eventId),
  };
}

async function taken(stage: Stage, ...userIds: string[]) {
  await stage.add(...userIds.map((userId) => user(userId)));
  const { callId } = callOf(await stage.cut());
  return { callId, run: settlerOf(stage, await stage.take(callId, 'first'), 'first') };
}

/** Newer events of a user, parked behind the call. */
async function parked(stage: Stage, userId: string, count: number, note = ''): Promise<string[]> {
  const ids = await stage.add(...Array.from({ length: count }, () => user(userId, 'note', note)));
  await stage.cutAll();
  return ids;
}

const parkedEntries = async ({ redis, keys }: Stage) => Number(await redis.hget(keys.books, 'parked'));

test('newer events of a suspect stay parked while the run settles others, and join the next run', async () => {
  const stage = fresh();
  const { callId, run } = await taken(stage, 'ann', 'bob', 'cid', 'dan');
  const [newer] = await parked(stage, 'ann', 1);
  expect(await run.suspects('ann')).toBe('settled');
  expect(await stage.problems()).toEqual([]);
  // Settlements go out while further events of the suspect come in.
  const [newest] = await parked(stage, 'ann', 1);
  const settled = await Promise.all([run.imports('bob'), run.suspects('dan'), run.imports('cid')]);
  expect(settled).toEqual(['settled', 'settled', 'settled']);
  expect(await stage.problems()).toEqual([]);
  expect(await parkedEntries(stage)).toBe(2);

  const next = settlerOf(stage, await stage.take(callId, 'second'), 'second');
  expect(next.eventsOf('ann')).toEqual([newest, newer, expect.any(String)]);
  expect(await stage.problems()).toEqual([]);
  expect(await parkedEntries(stage)).toBe(0);
  // The run before can change nothing, and this one ends all of it.
  expect(await run.imports('ann')).toBe('lost');
  expect([await next.imports('ann'), await next.imports('dan')]).toEqual(['settled', 'settled']);
  expect(await readTotals(stage.redis, stage.keys)).toMatchObject({ imported: 4, superseded: 2 });
  expect(await stage.problems()).toEqual([]);
  expect(await stage.redis.exists(stage.keys.callPrefix + callId, stage.keys.owners)).toBe(0);
});

test('events of those who are no suspects stay parked', async () => {
  const stage = fresh();
  const { callId, run } = await taken(stage, 'ann', 'bob');
  await run.suspects('ann');
  await parked(stage, 'bob', 2);
  const record = await stage.take(callId, 'second');
  expect(entriesOf(record)).toHaveLength(2);
  expect(await parkedEntries(stage)).toBe(2);
  expect(await stage.problems()).toEqual([]);
});

test('a run that died after the events joined leaves them to the next one', async () => {
  const stage = fresh();
  const { callId, run } = await taken(stage, 'ann', 'bob');
  await run.suspects('ann');
  await parked(stage, 'ann', 150);
  await stage.take(callId, 'second');
  expect(await stage.problems()).toEqual([]);
  const [last] = (await parked(stage, 'ann', 1)).slice(-1);
  const third = settlerOf(stage, await stage.take(callId, 'third'), 'third');
  expect(third.eventsOf('ann')).toHaveLength(152);
  expect(third.eventsOf('ann')[0]).toBe(last);
  expect(await stage.problems()).toEqual([]);
});

test('a record takes no more than a call holds; the rest stays parked, in order, until the user is settled', async () => {
  const stage = fresh();
  const { callId, run } = await taken(stage, 'ann', 'bob');
  await run.suspects('ann');
  await run.imports('bob');
  await parked(stage, 'ann', 12, 'x'.repeat(60_000));
  for (let n = 0; n < 3; n++) {
    const record = await stage.take(callId, `run${n}`);
    expect(record.packed.length).toBeLessThan(512 * 1024);
    expect(entriesOf(record)).toHaveLength(9);
    expect(await stage.problems()).toEqual([]);
  }
  const last = settlerOf(stage, await stage.take(callId, 'last'), 'last');
  expect(await last.imports('ann')).toBe('settled');
  expect(await readTotals(stage.redis, stage.keys)).toMatchObject({ superseded: 8, parked: 0, waiting: 4 });
  expect(await stage.problems()).toEqual([]);
});
