import { binned, marginNeeded, mostWithin, ratePerSecond } from '../../../bench/measure/arrivals.ts';
import { blamedTimes, byOwner, type CpuProfile, selfTimes } from '../../../bench/measure/cpu-profile.ts';
import { executedBy, readMonitored } from '../../../bench/measure/monitor.ts';
import { parseEndedMicros, parseStatMicros } from '../../../bench/measure/process-cost.ts';
import { costBetween, parseServerCost } from '../../../bench/measure/server-info.ts';
import { median, percentile, spreadOf } from '../../../bench/measure/spread.ts';
import { waitsOf } from '../../../bench/measure/waits.ts';

describe('spread', () => {
  test('the median of an even number of runs lies between the middle two', () => {
    expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4, runs: 4 });
    expect(median([9, 1, 5])).toBe(5);
  });

  test('a percentile is a value that was measured', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(percentile(values, 0.5)).toBe(50);
    expect(percentile(values, 0.99)).toBe(99);
    expect(percentile(values, 1)).toBe(100);
    expect(percentile([7], 0.99)).toBe(7);
    expect(percentile([1, 2], 0)).toBe(1);
  });

  test('what nobody measured is no figure', () => {
    expect(() => spreadOf([])).toThrow(RangeError);
    expect(() => percentile([1, Number.NaN], 0.5)).toThrow(RangeError);
  });
});

describe('arrivals', () => {
  test('a window is half open: its width apart is outside', () => {
    expect(mostWithin([0, 500, 999.9], 1000)).toBe(3);
    expect(mostWithin([0, 500, 1000], 1000)).toBe(2);
    expect(mostWithin([], 1000)).toBe(0);
  });

  test('a fixed window shows as twice its limit', () => {
    const burst = (atMs: number) => Array.from({ length: 100 }, (_, i) => atMs + i / 100);
    expect(mostWithin([...burst(0), ...burst(990)], 1000)).toBe(200);
  });

  test('bins count what falls into them, and nothing else', () => {
    expect(binned([100, 101, 109.9, 110, 90, 200], 100, 10, 3)).toEqual([3, 1, 0]);
  });

  test('a rate is counted by its gaps', () => {
    expect(ratePerSecond([0, 10, 20, 30])).toBe(100);
    expect(() => ratePerSecond([5])).toThrow(RangeError);
  });

  test('even calls need no margin, whatever was left out; a late one needs its lateness', () => {
    const even = Array.from({ length: 300 }, (_, i) => i * (1000 / 99));
    expect(marginNeeded(even, 100, 99)).toBeCloseTo(0);
    expect(
      marginNeeded(
        even.filter((_, i) => i % 7 !== 3),
        100,
        99,
      ),
    ).toBeCloseTo(0);
    const late = even.map((timeMs, i) => (i === 150 ? timeMs + 8 : timeMs));
    expect(marginNeeded(late, 100, 99)).toBeCloseTo(8 / 1008);
  });
});

describe('waits', () => {
  const imported = (userId: string, importedAtMs: number) => [userId, { userId, importedAtMs }] as const;

  test('the call of an account is the last that had arrived in its millisecond', () => {
    const accounts = new Map([imported('a', 100), imported('b', 110)]);
    const acknowledged = new Map([
      ['a', 99.5],
      ['b', 102],
    ]);
    expect(waitsOf(acknowledged, accounts, [50, 100.25, 110.75, 140])).toEqual([0.75, 8.75]);
  });

  test('an event without an account is no latency but a loss', () => {
    expect(() => waitsOf(new Map([['a', 1]]), new Map(), [2])).toThrow('a has no account');
    expect(() => waitsOf(new Map([['a', 1]]), new Map([imported('a', 5)]), [20])).toThrow(
      'no call had arrived',
    );
  });
});

describe('costs', () => {
  const info = (seconds: number, sets: number): string =>
    [
      `# CPU\r\nused_cpu_sys:${seconds}\r\nused_cpu_user:1.5\r\nused_cpu_sys_children:9`,
      `# Stats\r\ntotal_reads_processed:${sets}`,
      `# Commandstats\r\ncmdstat_set:calls=${sets},usec=5,usec_per_call=1.00\r\ncmdstat_config|get:calls=2,usec=1`,
    ].join('\r\n');

  test("Redis's INFO is read by its names", () => {
    const cost = parseServerCost(info(0.25, 7));
    expect(cost).toMatchObject({ cpuMicros: 1_750_000, commands: 9, reads: 7 });
    expect(cost.byCommand.get('config|get')).toBe(2);
  });

  test('what happened between two looks', () => {
    const between = costBetween(parseServerCost(info(0.25, 7)), parseServerCost(info(0.5, 17)));
    expect(between).toMatchObject({ cpuMicros: 250_000, commands: 10, reads: 10 });
    expect([...between.byCommand]).toEqual([['set', 10]]);
  });

  test('a process may be called anything', () => {
    const fields = 'S 1 1 1 0 -1 4194560 1 0 0 0 120 30 5 5 20 0 11 0 100';
    expect(parseStatMicros(`42 (node (a) b) ${fields}`)).toBe(1_500_000);
    expect(parseEndedMicros(`42 (node (a) b) ${fields}`)).toBe(100_000);
  });
});

test('a CPU profile: self time by function and by owner, without idle time', () => {
  const frame = (id: number, functionName: string, url: string, lineNumber = 0) => ({
    id,
    callFrame: { functionName, url, lineNumber },
  });
  const profile: CpuProfile = {
    nodes: [
      frame(1, '(idle)', ''),
      frame(2, 'write', 'node:net', 9),
      frame(3, 'parse', 'file:///x/node_modules/@scope/reader/lib/a.js', 4),
      frame(4, '', 'file:///x/dist/intake/cut.js', 6),
      frame(5, 'writeUtf8String', ''),
      frame(6, '(garbage collector)', ''),
      frame(7, 'run', 'file:///x/node_modules/bullmq/dist/esm/classes/worker.js', 1),
    ],
    samples: [1, 2, 3, 4, 2, 5, 6, 7],
    timeDeltas: [1_000, 10, 30, 50, 15, 5, 4, 3],
  };
  const times = selfTimes([profile]);
  expect(times).toEqual([
    { where: '(anonymous) dist/intake/cut.js:7', micros: 50 },
    { where: 'parse @scope/reader/lib/a.js:5', micros: 30 },
    { where: 'write node:net:10', micros: 25 },
    { where: 'writeUtf8String', micros: 5 },
    { where: '(garbage collector)', micros: 4 },
    { where: 'run bullmq/dist/esm/classes/worker.js:2', micros: 3 },
  ]);
  expect(byOwner(times)).toEqual([
    { where: 'imsync', micros: 50 },
    { where: '@scope/reader', micros: 30 },
    { where: 'node', micros: 25 },
    { where: 'native code', micros: 5 },
    { where: '(garbage collector)', micros: 4 },
    { where: 'bullmq', micros: 3 },
  ]);
});

test('MONITOR: what a script does belongs to it, whoever sent it', () => {
  const lines = [
    '+OK',
    '+1795305789.7 [0 127.0.0.1:5000] "evalsha" "abc" "1" "{k}"',
    '1795305789.7 [0 lua] "HMGET" "{k}" "pau\\"sed"',
    '1795305789.7 [0 lua] "TIME"',
    '1795305789.8 [0 127.0.0.1:5001] "ping"',
    '1795305789.8 [0 127.0.0.1:5001] "EVALSHA" "abc" "0"',
  ];
  const read = lines.flatMap((line) => readMonitored(line) ?? []);
  expect(read[1]).toEqual({ source: 'lua', command: 'HMGET', first: '{k}' });
  expect(executedBy(read, (sha) => `${sha}.lua`)).toEqual([
    { name: 'abc.lua', sent: 2, commands: 4 },
    { name: 'PING', sent: 1, commands: 1 },
  ]);
});

test('a CPU profile: a library costs who calls it, and itself where nobody of ours does', () => {
  const node = (id: number, functionName: string, url: string, children: number[] = []) => ({
    id,
    children,
    callFrame: { functionName, url, lineNumber: 0 },
  });
  const profile: CpuProfile = {
    nodes: [
      node(1, '(root)', '', [2, 5, 7, 8]),
      node(2, 'cut', 'file:///x/dist/intake/cut.js', [3]),
      node(3, 'send', 'file:///x/node_modules/ioredis/built/Redis.js', [4]),
      node(4, 'writev', ''),
      node(5, 'run', 'file:///x/node_modules/bullmq/dist/esm/worker.js', [6]),
      node(6, 'send', 'file:///x/node_modules/ioredis/built/Redis.js'),
      node(7, '(idle)', ''),
      node(8, '(garbage collector)', ''),
    ],
    samples: [4, 3, 6, 7, 8],
    timeDeltas: [10, 5, 7, 100, 2],
  };
  expect(blamedTimes([profile])).toEqual([
    { where: 'cut dist/intake/cut.js:1', micros: 15 },
    { where: 'in bullmq', micros: 7 },
    { where: '(garbage collector)', micros: 2 },
  ]);
});
