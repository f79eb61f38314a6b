import type { Backlog } from '../../../../src/ledger/backlog.ts';
import {
  MAX_STEP_ROWS,
  paceOf,
  roomFor,
  secondsOf,
  TARGET_SECONDS,
} from '../../../../src/tasks/backfill/redis-headroom.ts';

const commands = { batch: 'multiaccount_import', single: 'account_import' };
const rates = { batchPerSecond: 99, singlePerSecond: 198, usersPerBatch: 100 };
const together = secondsOf(rates, false);
const alone = secondsOf(rates, true);

function room(waiting: number, calls: Backlog['calls'] = {}, perRow = together): number {
  return roomFor({ waiting, calls, started: {}, isHeld: false, isPaused: false }, commands, rates, perRow);
}

test('nothing waits: a step at most', () => {
  expect(room(0)).toBe(MAX_STEP_ROWS);
});

test('what waits is subtracted, in the intake and in calls', () => {
  const whole = Math.floor(TARGET_SECONDS * 9_900);
  expect(room(whole - 100)).toBe(100);
  expect(room(whole)).toBe(0);
  expect(room(1_000_000)).toBe(0);
  expect(room(0, { multiaccount_import: { calls: 29, users: 2_900 } })).toBe(whole - 2_900);
  expect(room(0, { multiaccount_import: { calls: 30, users: 1 } })).toBe(0);
});

test('the two commands have budgets of their own: the fuller one counts', () => {
  const half = { account_import: { calls: 30, users: 30 } };
  expect(room(0, half)).toBe(MAX_STEP_ROWS);
  expect(room(0, { ...half, multiaccount_import: { calls: 29, users: 2_900 } })).toBe(70);
  expect(room(0, { account_import: { calls: 60, users: 60 } })).toBe(0);
});

test('rows that need a call of their own take more of the line', () => {
  expect(room(0, {}, alone)).toBe(59);
  expect(room(50, {}, alone)).toBe(9);
});

test('where a row takes longer than the target, one goes while nothing waits', () => {
  const slow = { ...rates, singlePerSecond: 1 };
  const ask = (waiting: number) =>
    roomFor(
      { waiting, calls: {}, started: {}, isHeld: false, isPaused: false },
      commands,
      slow,
      secondsOf(slow, true),
    );
  expect([ask(0), ask(1)]).toEqual([1, 0]);
});

test('a slow fleet is taken for as slow as it is, and asked for twice that', () => {
  expect(paceOf(99, 98)).toBe(99);
  expect(paceOf(99, 30)).toBe(60);
  // Nothing was started yet: something must be, to see how quick it is.
  expect(paceOf(99, 0)).toBeCloseTo(24.75);
});
