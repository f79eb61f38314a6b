import { keysOf } from '../../../src/redis/keys.ts';

it('the stream has the name that producers in any language rely on', () => {
  expect(keysOf(1400000000).stream).toBe('{imsync:1400000000}:user-created');
});

it('all keys of an app share one hash tag, and no two are the same', () => {
  const keys = Object.values(keysOf(7)) as string[];
  for (const key of keys) expect(key).toMatch(/^\{imsync:7\}:[a-z0-9-]+:?$/);
  expect(new Set(keys).size).toBe(keys.length);
});

it('no key begins with the prefix of others', () => {
  const keys = Object.values(keysOf(7)) as string[];
  const prefixes = keys.filter((key) => key.endsWith(':'));
  for (const prefix of prefixes) {
    for (const key of keys) expect(key === prefix || !key.startsWith(prefix)).toBe(true);
  }
});

it('apps share nothing', () => {
  const other = new Set<string>(Object.values(keysOf(8)));
  expect(Object.values(keysOf(7)).filter((key) => other.has(key))).toEqual([]);
});
