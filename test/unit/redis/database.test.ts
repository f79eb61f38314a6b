import { databaseOf, isDatabaseRefused, isDatabaseWrong } from '../../../src/redis/database.ts';

const of = (address: string, mode: Parameters<typeof databaseOf>[1] = 'standalone') =>
  databaseOf(new URL(address), mode);

test.each([
  ['redis://h', 0],
  ['redis://h/', 0],
  ['redis://h/0', 0],
  ['rediss://u:p@h:6380/3?family=6', 3],
  ['redis://h/007', 7],
  ['redis://h/10000', 10_000],
  ['unix:///run/redis.sock', 0],
  ['unix:///run/redis.sock?db=12', 12],
])('%s means database %i', (address, database) => {
  expect(of(address)).toBe(database);
  expect(of(address, 'sentinel')).toBe(database);
});

test.each([
  'redis://h/x',
  'redis://h/-1',
  'redis://h/3.5',
  'redis://h/0x3',
  'redis://h/3/',
  'redis://h?db=3',
])('%s is not taken for database 0', (address) => {
  expect(() => of(address)).toThrow(RangeError);
});

test('a cluster has only database 0', () => {
  expect(of('redis://h/0', 'cluster')).toBe(0);
  expect(() => of('redis://h/3', 'cluster')).toThrow(/database 3, but a cluster has only database 0: leave/);
});

test('a refused database is recognized, and a wrong number is told from a missing right', () => {
  const outOfRange = 'Redis did not take it: database 16 cannot be used, Redis says "ERR DB index"; ask';
  const noRight = 'database 3 cannot be used, Redis says "NOPERM no permissions"; give';
  const other = 'NOPERM this user has no permissions to access one of the keys';
  expect([outOfRange, noRight, other].map(isDatabaseRefused)).toEqual([true, true, false]);
  expect([outOfRange, noRight, other].map(isDatabaseWrong)).toEqual([true, false, false]);
});
