import {
  countedMemory,
  hasRoomForBulk,
  hasRoomForIntake,
  type MemoryLevel,
  memoryOf,
  memoryText,
} from '../../../src/redis/memory-watermark.ts';
import { parseServerFacts, writeProblems } from '../../../src/redis/requirements.ts';

const info = (used: number, max: number, notCounted = 0): string =>
  [
    '# Memory',
    `used_memory:${used}`,
    'used_memory_human:1K',
    `maxmemory:${max}`,
    'maxmemory_policy:noeviction',
    `mem_not_counted_for_evict:${notCounted}`,
    '',
  ].join('\r\n');

it.each([
  [0, 'ample'],
  [849, 'ample'],
  [850, 'high'],
  [919, 'high'],
  [920, 'full'],
  [1_200, 'full'],
] as const)('at %i of 1000 it is %s', (used, level) => {
  expect(memoryOf(info(used, 1_000), 'ample')).toEqual({ usedRatio: used / 1_000, level });
});

it.each([
  ['full', 901, 'full'],
  ['full', 899, 'high'],
  ['full', 829, 'ample'],
  ['high', 831, 'high'],
  ['high', 829, 'ample'],
  ['high', 921, 'full'],
] as const)(
  'from %s, %i of 1000 is %s: a level is left below its mark',
  (before: MemoryLevel, used, level) => {
    expect(memoryOf(info(used, 1_000), before).level).toBe(level);
  },
);

it('is always ample without a memory limit', () => {
  const memory = memoryOf(info(10 ** 12, 0), 'full');
  expect(memory).toEqual({ usedRatio: null, level: 'ample' });
  expect([hasRoomForBulk(memory), hasRoomForIntake(memory)]).toEqual([true, true]);
  expect(memoryText(memory)).toBe('Redis has no memory limit');
});

it("ignores the buffers that Redis's own limit ignores", () => {
  expect(countedMemory(info(1_000, 1_000, 200))).toEqual({ usedBytes: 800, maxBytes: 1_000 });
  expect(memoryOf(info(1_000, 1_000, 200), 'ample').level).toBe('ample');
  expect(writeProblems(parseServerFacts(info(1_000, 1_000, 200)))).toEqual([]);
  expect(writeProblems(parseServerFacts(info(1_000, 1_000)))).toHaveLength(1);
});

it('stops bulk first, the intake later', () => {
  const rooms = [800, 900, 950].map((used) => {
    const memory = memoryOf(info(used, 1_000), 'ample');
    return [hasRoomForBulk(memory), hasRoomForIntake(memory), memoryText(memory)];
  });
  expect(rooms).toEqual([
    [true, true, 'Redis is 80 % full'],
    [false, true, 'Redis is 90 % full'],
    [false, false, 'Redis is 95 % full'],
  ]);
});
