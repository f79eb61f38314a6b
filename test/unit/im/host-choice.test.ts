import { createHostChoice, type HostSwitch } from '../../../src/im/host-choice.ts';

const main = 'https://main';
const backup = 'https://backup';

function choice(withBackup = true) {
  const switches: HostSwitch[] = [];
  return {
    switches,
    ...createHostChoice(main, withBackup ? backup : undefined, (change) => switches.push(change)),
  };
}

function missTimes(host: ReturnType<typeof choice>, url: string, timesMs: readonly number[]): void {
  for (const at of timesMs) host.missed(url, at);
}

it('stays with the main host through a hiccup that many calls see', () => {
  const host = choice();
  missTimes(
    host,
    main,
    Array.from({ length: 50 }, (_, i) => i),
  );
  expect(host.current(100)).toBe(main);
  host.reached(main);
  missTimes(host, main, [2_500, 2_600]);
  expect(host.current(3_000)).toBe(main);
});

it('goes to the backup after five faults in a row over two seconds and reports it once', () => {
  const host = choice();
  missTimes(host, main, [0, 500, 1_000, 1_500, 2_000, 2_001, 2_002]);
  expect(host.current(2_003)).toBe(backup);
  expect(host.switches).toEqual([{ from: main, to: backup, why: 'unreachable' }]);
});

it('tries the main host again after a minute; the first failure leads back, for twice as long', () => {
  const host = choice();
  missTimes(host, main, [0, 500, 1_000, 1_500, 2_000]);
  expect(host.current(61_999)).toBe(backup);
  expect(host.current(62_000)).toBe(main);
  host.missed(main, 62_100);
  expect(host.current(62_100)).toBe(backup);
  expect(host.current(182_099)).toBe(backup);
  expect(host.current(182_100)).toBe(main);
  host.reached(main);
  // The trial is over: one fault is a hiccup again.
  host.missed(main, 182_300);
  expect(host.current(182_300)).toBe(main);
  expect(host.switches.map(({ why }) => why)).toEqual(['unreachable', 'trial', 'unreachable', 'trial']);
});

it('comes back to the main host if the backup is unreachable, too', () => {
  const host = choice();
  missTimes(host, main, [0, 500, 1_000, 1_500, 2_000]);
  missTimes(host, backup, [3_000, 3_500, 4_000, 4_500, 5_000]);
  expect(host.current(5_000)).toBe(main);
});

it('stays with the main host if there is no backup', () => {
  const host = choice(false);
  missTimes(host, main, [0, 1_000, 2_000, 3_000, 4_000, 5_000]);
  expect(host.current(6_000)).toBe(main);
  expect(host.switches).toEqual([]);
});

it('ignores late results of calls to the other host', () => {
  const host = choice();
  missTimes(host, main, [0, 500, 1_000, 1_500, 2_000]);
  host.reached(main);
  missTimes(host, main, [2_200, 3_000, 4_000, 5_000, 6_000]);
  expect(host.current(7_000)).toBe(backup);
});
