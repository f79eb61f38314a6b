import { writeProblems } from '../../../src/redis/requirements.ts';

const info = (fields: Readonly<Record<string, string | number>> = {}): string =>
  Object.entries({
    loading: 0,
    role: 'master',
    aof_enabled: 1,
    aof_last_write_status: 'ok',
    used_memory: 900,
    maxmemory: 1_000,
    mem_not_counted_for_evict: 0,
    ...fields,
  })
    .map(([name, value]) => `${name}:${value}\r\n`)
    .join('');

it('finds no problem with a server that takes writes', () => {
  expect(writeProblems(info())).toEqual([]);
  expect(writeProblems(info({ maxmemory: 0 }))).toEqual([]);
  expect(writeProblems(info({ aof_enabled: 0, aof_last_write_status: 'err' }))).toEqual([]);
});

it.each([
  ['loads its data', { loading: 1 }, 'still loading its data'],
  ['is a replica', { role: 'slave' }, 'a replica and takes no writes'],
  ['has no disk left', { aof_last_write_status: 'err' }, 'cannot write its append-only file'],
  ['has no memory left', { used_memory: 1_000 }, 'no memory left'],
] as const)('says that it %s', (_what, fields, words) => {
  expect(writeProblems(info(fields))).toEqual([expect.stringContaining(words)]);
});
