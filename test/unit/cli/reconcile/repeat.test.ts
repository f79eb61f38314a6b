import { type EarlierState, type RepeatParts, repeatRuns } from '../../../../src/cli/reconcile/repeat.ts';

const DAY_MS = 86_400_000;
const time = (day: number, hours: number, minutes = 0): number =>
  new Date(2026, 5, day, hours, minutes).getTime();
const shown = (ms: number): string => {
  const date = new Date(ms);
  return `${date.getDate()} ${date.toTimeString().slice(0, 5)}`;
};

/** A process with a clock of its own, which begins at `nowMs` and ends at `untilMs`. A run takes nine minutes. */
function processOf(
  { nowMs, untilMs }: { nowMs: number; untilMs: number },
  stored: { state: EarlierState; dueMs?: number },
  more: Partial<RepeatParts> = {},
) {
  const stop = new AbortController();
  const runs: string[] = [];
  const said: string[] = [];
  const clock = { nowMs };
  const parts: RepeatParts = {
    schedule: { everyMs: DAY_MS, atMinutes: 180 },
    signal: stop.signal,
    earlier: async () => stored.state,
    async note(dueMs) {
      stored.dueMs = dueMs;
    },
    async run() {
      runs.push(shown(clock.nowMs));
      const startedAt = clock.nowMs;
      clock.nowMs += 9 * 60_000;
      stored.state = { isOpen: false, last: { startedAt, endedAt: clock.nowMs } };
    },
    say: (line) => said.push(line),
    nowMs: () => clock.nowMs,
    async waitUntil(atMs) {
      clock.nowMs = Math.max(clock.nowMs, Math.min(atMs, untilMs));
      if (clock.nowMs >= untilMs) stop.abort();
    },
    ...more,
  };
  return { ...{ parts, runs, said, clock, stop }, ended: () => repeatRuns(parts) };
}

test('a run each night; after a restart none is made twice, and one that was missed is made up for', async () => {
  const stored: Parameters<typeof processOf>[1] = { state: { isOpen: false } };
  const first = processOf({ nowMs: time(10, 12), untilMs: time(12, 12) }, stored);
  await first.ended();
  expect(first.runs).toEqual(['11 03:00', '12 03:00']);
  expect(stored.dueMs).toBe(time(13, 3));
  const second = processOf({ nowMs: time(12, 13), untilMs: time(12, 14) }, stored);
  await second.ended();
  expect(second.runs).toEqual([]);
  expect(second.said).toEqual([`Next run: ${new Date(time(13, 3)).toISOString()}.`]);
  const third = processOf({ nowMs: time(13, 8), untilMs: time(14, 12) }, stored);
  await third.ended();
  expect(third.runs).toEqual(['13 08:00', '14 03:00']);
  expect(third.said[0]).toBe(`The run of ${new Date(time(13, 3)).toISOString()} was missed. It is made now.`);
});

test('a run that was broken off goes on at once', async () => {
  const stored = { state: { isOpen: true, last: { startedAt: time(9, 3), endedAt: time(9, 4) } } };
  const { ended, runs } = processOf({ nowMs: time(10, 3, 20), untilMs: time(10, 20) }, stored);
  await ended();
  expect(runs).toEqual(['10 03:20']);
});

test('a run that went on counts from its first start; one that Redis does not know counts all the same', async () => {
  const stored: Parameters<typeof processOf>[1] = { state: { isOpen: true } };
  const schedule = { everyMs: DAY_MS };
  const own = processOf({ nowMs: time(10, 5), untilMs: time(11, 4) }, stored, { schedule });
  await repeatRuns({
    ...own.parts,
    async run() {
      await own.parts.run();
      const startedAt = time(9 + own.runs.length, 3);
      stored.state = { isOpen: false, last: { startedAt, endedAt: own.clock.nowMs } };
    },
  });
  expect([own.runs, stored.dueMs]).toEqual([['10 05:00', '11 03:00'], time(12, 3)]);
  // The last run of another query has taken its place.
  const lost = processOf({ nowMs: time(10, 5), untilMs: time(11, 4) }, stored, { schedule });
  await repeatRuns({ ...lost.parts, earlier: async () => ({ isOpen: false }) });
  expect([lost.runs, stored.dueMs]).toEqual([['10 05:00'], time(11, 5)]);
});

test('a run that fails goes on after ten minutes, and stays due meanwhile', async () => {
  const stored: Parameters<typeof processOf>[1] = {
    state: { isOpen: false, last: { startedAt: time(9, 3), endedAt: time(9, 4) } },
  };
  const own = processOf({ nowMs: time(10, 1), untilMs: time(10, 3, 15) }, stored);
  const tries: string[] = [];
  await repeatRuns({
    ...own.parts,
    async run() {
      tries.push(shown(own.clock.nowMs));
      throw new Error('the database is away');
    },
  });
  expect(tries).toEqual(['10 03:00', '10 03:10']);
  expect(own.said.at(-1)).toMatch(/^imsync: this run failed, and goes on at \S+: the database is away$/);
  expect(stored.dueMs).toBe(time(10, 3));
});

test('a signal in the middle of a run ends the loop, whether the run then resolves or rejects', async () => {
  for (const fails of [false, true]) {
    const own = processOf({ nowMs: time(10, 1), untilMs: time(20, 1) }, { state: { isOpen: true } });
    let runs = 0;
    await repeatRuns({
      ...own.parts,
      async run() {
        runs++;
        own.stop.abort();
        if (fails) throw new Error('the reading was stopped');
      },
    });
    expect([runs, own.said]).toEqual([1, []]);
  }
});

test('what cannot be read at the start is an error; later it is waited for', async () => {
  const away = new Error('Redis is away');
  const atStart = processOf(
    { nowMs: time(10, 1), untilMs: time(11, 1) },
    { state: { isOpen: false } },
    { earlier: () => Promise.reject(away) },
  );
  await expect(atStart.ended()).rejects.toBe(away);
  let reads = 0;
  const later = processOf(
    { nowMs: time(10, 1), untilMs: time(10, 12) },
    { state: { isOpen: true } },
    {
      earlier: async () => {
        if (++reads === 2) throw away;
        return { isOpen: reads === 1, last: { startedAt: time(10, 1), endedAt: time(10, 1, 9) } };
      },
    },
  );
  await later.ended();
  expect(later.said[0]).toMatch(/Redis is away$/);
  expect(later.runs).toEqual(['10 01:00', '10 03:00']);
});
