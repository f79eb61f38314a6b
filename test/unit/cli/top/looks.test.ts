import { Looks } from '../../../../src/cli/top/looks.ts';
import type { Status } from '../../../../src/ops/status.ts';

const looks = (
  ...totals: readonly (readonly [atMs: number, accepted: number, imported: number, dead: number])[]
) => {
  const made = new Looks();
  for (const [atMs, accepted, imported, deadLettered] of totals) {
    const status = { totals: { accepted, imported, deadLettered } } as Status;
    made.add({ atMs, redisMs: 0, status });
  }
  return made;
};

test('a rate needs two looks', () => {
  expect(looks().rates()).toBeUndefined();
  expect(looks([0, 5, 5, 5]).rates()).toBeUndefined();
  const rates = { accepted: 10, imported: 6, deadLettered: 2, overMs: 500 };
  expect(looks([0, 5, 5, 5], [500, 10, 8, 6]).rates()).toEqual(rates);
});

test('it is an average of the last 5 s, whatever the interval is', () => {
  const totals = Array.from({ length: 20 }, (_, i) => [1_000 * i, i < 10 ? 0 : 100 * (i - 9), 0, 0] as const);
  expect(looks(...totals).rates()).toMatchObject({ accepted: 100, overMs: 5_000 });
  expect(looks([0, 0, 0, 0], [60_000, 600, 60, 0]).rates()).toMatchObject({ accepted: 10, overMs: 60_000 });
});

test('a redrive takes letters back: no rate is below nothing', () => {
  expect(looks([0, 10, 5, 5], [1_000, 10, 8, 2]).rates()).toMatchObject({ imported: 3, deadLettered: 0 });
});

test('a Redis that was emptied starts anew', () => {
  const made = looks([0, 100, 100, 0], [1_000, 200, 200, 0], [2_000, 3, 1, 0]);
  expect(made.rates()).toBeUndefined();
  expect(made.imported()).toEqual({ perSecond: [], overMs: 0 });
});

test('the last 60 intervals are kept', () => {
  const totals = Array.from({ length: 100 }, (_, i) => [1_000 * i, i * i, i * i, 0] as const);
  const { perSecond, overMs } = looks(...totals).imported();
  expect([perSecond.length, perSecond.at(-1), overMs]).toEqual([60, 99 * 99 - 98 * 98, 60_000]);
});
