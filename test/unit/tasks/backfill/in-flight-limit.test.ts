import type { Backlog } from '../../../../src/tasks/backfill/backlog.ts';
import {
  expectedRate,
  headroomOf,
  MAX_STEP_ROWS,
  TARGET_SECONDS,
} from '../../../../src/tasks/backfill/in-flight-limit.ts';

const commands = { batch: 'multiaccount_import', single: 'account_import' } as const;
const rates = { batchPerSecond: 99, singlePerSecond: 198, usersPerBatch: 100 };

function room(waiting: number, calls: Backlog['calls'] = {}, aloneShare = 0): number {
  return headroomOf({ waiting, calls }, commands, rates, aloneShare);
}

test('allows one step at most when nothing waits', () => {
  expect(room(0)).toBe(MAX_STEP_ROWS);
});

test('subtracts waiting work, in the intake and in calls', () => {
  const whole = Math.floor(TARGET_SECONDS * 9_900);
  expect(room(whole - 100)).toBe(100);
  expect(room(whole)).toBe(0);
  expect(room(1_000_000)).toBe(0);
  expect(room(0, { multiaccount_import: 29 })).toBe(whole - 2_900);
  expect(room(0, { multiaccount_import: 30 })).toBe(0);
});

test('counts the fuller one of the budgets of the two commands', () => {
  const half = { account_import: 30 };
  expect(room(0, half)).toBe(MAX_STEP_ROWS);
  expect(room(0, { ...half, multiaccount_import: 29 })).toBe(70);
  expect(room(0, { account_import: 60 })).toBe(0);
});

test('counts more time for rows that need a call of their own', () => {
  expect(room(0, {}, 1)).toBe(59);
  expect(room(50, {}, 1)).toBe(9);
});

test('lets a row that takes longer than the target through while nothing waits', () => {
  const slow = { ...rates, singlePerSecond: 1 };
  const ask = (waiting: number) => headroomOf({ waiting, calls: {} }, commands, slow, 1);
  expect([ask(0), ask(1)]).toEqual([1, 0]);
});

test('expects twice of what a slow fleet did in the last second', () => {
  expect(expectedRate(99, 98)).toBe(99);
  expect(expectedRate(99, 30)).toBe(60);
  // An idle fleet gets some work, so that its speed becomes known.
  expect(expectedRate(99, 0)).toBeCloseTo(24.75);
});
