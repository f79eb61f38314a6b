import { takeOut } from '../../src/ledger/forget/forget.ts';
import { redriveUsers } from '../../src/ledger/letters/redrive.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { apiAnswer, createCallDriver } from '../support/call-driver.ts';
import { letterProblems } from '../support/letter-audit.ts';
import { countMoved, MOST_MOVED } from '../support/moved-entries.ts';
import { makeRefusedLetters } from '../support/refused-letters.ts';
import { BATCH, SINGLE, type Stage, user, users, useStages } from './stage.ts';

/** No script holds Redis for long, whatever one user has: each call moves a bounded number of entries. */

const fresh = useStages();
const MANY = 12_000;

/** Settles whatever is open, until nothing is. `nicks`: those of the star, as the API got them. */
function driverOf(stage: Stage) {
  const moved = countMoved(stage.redis, stage.keys);
  const sent: { users: string[]; starNick: string | undefined }[] = [];
  let code = 0;
  const driver = createCallDriver(moved.redis, stage.keys, async (_command, accounts) => {
    const star = accounts.find(({ UserID }) => UserID === 'star');
    sent.push({ users: accounts.map(({ UserID }) => UserID), starNick: star?.Nick });
    return apiAnswer(code);
  });
  const runAll = async (): Promise<void> => {
    for (const callId of await stage.redis.zrange(stage.keys.open, '0', '-1')) await driver.run(callId);
  };
  const work = async (): Promise<void> => {
    for (;;) {
      const calls = await driver.cut();
      const open = await stage.redis.zcard(stage.keys.open);
      const waiting = await stage.redis.xlen(stage.keys.stream);
      if (calls.length + open + waiting === 0) return;
      await runAll();
    }
  };
  const answerWith = (errorCode: number): void => {
    code = errorCode;
  };
  return { moved, sent, driver, work, answerWith };
}

test('many events of one user are superseded by the thousand, and others do not wait for them', async () => {
  const stage = fresh();
  const { moved, sent, driver, work } = driverOf(stage);
  await stage.add(user('star', 'nick', 'first'));
  const [first] = await driver.cut();
  const events = Array.from({ length: MANY }, (_, i) =>
    i % 20 === 0 ? user(`u${i}`) : user('star', 'nick', `nick ${i}`),
  );
  for (let from = 0; from < MANY; from += 2_000) await stage.add(...events.slice(from, from + 2_000));
  // The star's call is on the wire for long; the others go on.
  while ((await stage.redis.xlen(stage.keys.stream)) > 0)
    for (const { callId } of await driver.cut()) await driver.run(callId);
  expect(await readTotals(stage.redis, stage.keys)).toMatchObject({ imported: 600, parked: MANY - 600 });
  expect(await stage.problems()).toEqual([]);
  await driver.run(first?.callId ?? '');
  expect(await stage.problems()).toEqual([]);
  await work();
  expect(await stage.problems()).toEqual([]);
  const ofStar = sent.flatMap(({ starNick }) => starNick ?? []);
  // The first event, and a call for each thousand of the others, whose newest it sends.
  const starCalls = 1 + Math.ceil((MANY - 600) / 1_000);
  expect(ofStar).toHaveLength(starCalls);
  expect(ofStar.at(-1)).toBe(`nick ${MANY - 1}`);
  expect(await readTotals(stage.redis, stage.keys)).toMatchObject({
    ...{ waiting: 0, parked: 0, deadLettered: 0, accepted: MANY + 1 },
    imported: 600 + starCalls,
    superseded: MANY + 1 - 600 - starCalls,
  });
  expect(moved.most()).toBeLessThanOrEqual(MOST_MOVED);
}, 60_000);

test('a user with many parked events is forgotten in steps', async () => {
  const stage = fresh();
  const { moved, driver } = driverOf(stage);
  await stage.add(user('star'));
  await driver.cut();
  await stage.add(...Array.from({ length: 5_000 }, () => user('star')));
  while ((await stage.redis.xlen(stage.keys.stream)) > 0) await driver.cut();
  const app = { redis: moved.redis, keys: stage.keys };
  const options = { userId: 'star', run: 'forget', landingMs: 4_000 };
  const due = { kind: 'done', returned: 0, parked: 5_000, inCalls: 1 };
  expect(await takeOut(app, { ...options, dryRun: true })).toMatchObject(due);
  expect(await takeOut(app, { ...options, dryRun: false })).toMatchObject(due);
  expect(await stage.problems()).toEqual([]);
  expect(moved.most()).toBeLessThanOrEqual(MOST_MOVED);
}, 60_000);

test('many letters of one user are resolved in steps, all of them', async () => {
  const stage = fresh();
  const { moved, work, answerWith } = driverOf(stage);
  answerWith(70402);
  await makeRefusedLetters(moved.redis, stage.keys, 'star', 4_500, () => 'star');
  await stage.add(...users(10));
  await work();
  expect(await readTotals(stage.redis, stage.keys)).toMatchObject({ deadLettered: 4_510 });
  answerWith(0);
  await stage.add(user('star'));
  await work();
  expect(await readTotals(stage.redis, stage.keys)).toMatchObject({
    ...{ deadLettered: 10, superseded: 4_500, imported: 1 },
  });
  expect(await stage.problems()).toEqual([]);
  expect(await letterProblems(stage.redis, stage.keys)).toEqual([]);
  const again = await redriveUsers(
    { redis: moved.redis, keys: stage.keys },
    {
      users: Array.from({ length: 10 }, (_, i) => `u${i}`),
      ...{ by: 'test', batchCommand: BATCH, singleCommand: SINGLE, maxOpenCalls: 10 },
      ...{ dryRun: false, early: false, invalid: false },
    },
  );
  expect(again.users).toHaveLength(10);
  expect(moved.most()).toBeLessThanOrEqual(MOST_MOVED);
}, 60_000);
