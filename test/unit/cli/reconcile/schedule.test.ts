import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import {
  dueAt,
  readInterval,
  readTimeOfDay,
  scheduleProblem,
} from '../../../../src/cli/reconcile/schedule.ts';

const run = promisify(execFile);
const DAY_MS = 86_400_000;
/** A time of this machine's zone. */
const at = (day: number, hours: number, minutes = 0): number =>
  new Date(2026, 5, day, hours, minutes).getTime();
const daily = { everyMs: DAY_MS, atMinutes: 180 };

test('intervals and times of day; anything else is none', () => {
  expect(['30m', '24h', '7d'].map(readInterval)).toEqual([1_800_000, DAY_MS, 7 * DAY_MS]);
  expect(['0h', '24', '1.5h', '-1d', '24 h', '1w', '100000d', ''].map(readInterval)).toEqual(
    Array(8).fill(undefined),
  );
  expect(['00:00', '03:05', '23:59'].map(readTimeOfDay)).toEqual([0, 185, 1_439]);
  expect(['24:00', '3:00', '03:60', '03', '3am', ''].map(readTimeOfDay)).toEqual(Array(6).fill(undefined));
  expect(scheduleProblem({ everyMs: 1_800_000, atMinutes: 180 })).toMatch(/^--at .* whole days: 24h/);
  expect(scheduleProblem({ everyMs: 36 * 3_600_000, atMinutes: 180 })).toBeDefined();
  expect([daily, { everyMs: 1_800_000 }].map(scheduleProblem)).toEqual([undefined, undefined]);
});

test('without a time of day: at once, then by the interval from the start of the last run', () => {
  const schedule = { everyMs: 3_600_000 };
  expect(dueAt(5_000, {}, schedule)).toBe(5_000);
  expect(dueAt(9_000, { last: { startedAt: 5_000, endedAt: 8_000 } }, schedule)).toBe(3_605_000);
  // The clock was set back since then.
  expect(dueAt(1_000, { last: { startedAt: 5_000, endedAt: 8_000 } }, schedule)).toBe(3_601_000);
});

test.each([
  ['never before, later on this day', at(10, 1), undefined, at(10, 3)],
  ['never before, the time has passed', at(10, 4), undefined, at(11, 3)],
  ['a run of a few ms after its time', at(10, 4), [at(10, 3) + 40, at(10, 3, 9)], at(11, 3)],
  ['a run that was made up for at noon', at(10, 13), [at(10, 12), at(10, 12, 9)], at(11, 3)],
  ['a run that nobody made', at(12, 9), [at(10, 3), at(10, 3, 9)], at(11, 3)],
  ['a run that took longer than a day', at(11, 5), [at(10, 3), at(11, 4)], at(12, 3)],
] as const)('with a time of day: %s', (_, nowMs, last, expected) => {
  const earlier = last === undefined ? {} : { last: { startedAt: last[0], endedAt: last[1] } };
  expect(dueAt(nowMs, earlier, daily)).toBe(expected);
});

test('a run that was due and was never made is missed, though no run has ended yet', () => {
  expect(dueAt(at(11, 9), { dueAt: at(11, 3) }, daily)).toBe(at(11, 3));
  expect(dueAt(at(11, 9), {}, { ...daily, everyMs: 7 * DAY_MS })).toBe(at(12, 3));
});

/** Each day's run begins at its time and 40 ms; when are they, in this zone? */
async function runsIn(zone: string, firstAt: string, atMinutes: number, days = 4): Promise<string[]> {
  const code = `
    import { dueAt } from ${JSON.stringify(new URL('../../../../src/cli/reconcile/schedule.ts', import.meta.url).href)};
    let now = Date.parse(${JSON.stringify(firstAt)});
    for (let i = 0; i < ${days}; i++) {
      const last = { startedAt: now + 40, endedAt: now + 90_000 };
      now = dueAt(now + 100_000, { last }, { everyMs: 86_400_000, atMinutes: ${atMinutes} });
      console.log(new Date(now).toISOString());
    }`;
  const loader = fileURLToPath(new URL('../../../support/ts-loader.js', import.meta.url));
  const args = ['--import', loader, '--input-type=module', '-e', code];
  const { stdout } = await run(process.execPath, args, { env: { PATH: process.env.PATH ?? '', TZ: zone } });
  return stdout.trim().split('\n');
}

test.each([
  // 29 March 2026: 02:00 becomes 03:00. 25 October: 03:00 becomes 02:00.
  ['03:00 in spring', '2026-03-27T02:00:00Z', 180, ['28T02:00', '29T01:00', '30T01:00', '31T01:00']],
  [
    '02:30, which the day in spring does not have',
    '2026-03-27T01:30:00Z',
    150,
    ['28T01:30', '29T01:30', '30T00:30', '31T00:30'],
  ],
  ['03:00 in autumn', '2026-10-23T01:00:00Z', 180, ['24T01:00', '25T02:00', '26T02:00', '27T02:00']],
  [
    '02:30, which the day in autumn has twice',
    '2026-10-23T00:30:00Z',
    150,
    ['24T00:30', '25T00:30', '26T01:30', '27T01:30'],
  ],
])('Europe/Berlin, %s: one run a day', async (_, firstAt, atMinutes, expected) => {
  const runs = await runsIn('Europe/Berlin', firstAt, atMinutes);
  expect(runs.map((time) => time.slice(8, 16))).toEqual(expected);
});

test('the next run is never before the end of the last one, nor later than an interval and a day', () => {
  const times = fc.record({
    startedAt: fc.integer({ min: 0, max: 4e12 }),
    tookMs: fc.integer({ min: 0, max: 3 * DAY_MS }),
    days: fc.integer({ min: 1, max: 30 }),
    atMinutes: fc.integer({ min: 0, max: 1_439 }),
  });
  fc.assert(
    fc.property(times, ({ startedAt, tookMs, days, atMinutes }) => {
      const endedAt = startedAt + tookMs;
      const next = dueAt(endedAt, { last: { startedAt, endedAt } }, { everyMs: days * DAY_MS, atMinutes });
      expect(next).toBeGreaterThan(endedAt);
      expect(next).toBeLessThanOrEqual(endedAt + days * DAY_MS + 3_600_000);
    }),
  );
});
