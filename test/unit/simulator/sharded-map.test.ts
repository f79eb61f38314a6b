import { ShardedMap } from '../../../src/simulator/accounts/sharded-map.ts';

describe('ShardedMap', () => {
  test('is a map', () => {
    const map = new ShardedMap<number>();
    const plain = new Map<string, number>();
    for (let i = 0; i < 3000; i += 1) {
      const key = `user-${(i * 7) % 1000}`;
      map.set(key, i);
      plain.set(key, i);
      if (i % 5 === 0) expect(map.delete(`user-${i % 1000}`)).toBe(plain.delete(`user-${i % 1000}`));
    }
    const sorted = (entries: Iterable<[string, number]>) => [...entries].toSorted();
    expect(map.size).toBe(plain.size);
    expect(sorted(map)).toEqual(sorted(plain));
    expect([...map.keys()].toSorted()).toEqual([...plain.keys()].toSorted());
    expect([...map.values()].toSorted()).toEqual([...plain.values()].toSorted());
    const visited = new Map<string, number>();
    map.forEach((value, key) => {
      visited.set(key, value);
    });
    expect(visited.size).toBe(plain.size);
    expect([map.get('user-1'), map.has('user-1')]).toEqual([plain.get('user-1'), plain.has('user-1')]);
    map.clear();
    expect([map.size, [...map]]).toEqual([0, []]);
  });
});
