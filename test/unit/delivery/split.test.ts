import fc from 'fast-check';
import { afterPass, afterRefusal, nextProbe, type Search, searchOf } from '../../../src/delivery/split.ts';

interface Cost {
  /** Calls after the one that was refused. */
  readonly calls: number;
  /** Of those, calls that carry several users. */
  readonly batches: number;
  readonly culprits: readonly number[];
}

/** Plays a whole search over users 0 … n−1 after their call was refused. */
function play(n: number, isCulprit: (user: number) => boolean, share = 0): Cost {
  let search: Search<number> = searchOf(Array.from({ length: n }, (_, i) => i));
  const judged: number[] = [];
  const culprits: number[] = [];
  let calls = 0;
  let batches = 0;
  for (let probe = nextProbe(search, share); probe !== undefined; probe = nextProbe(search, share)) {
    if (probe.test.length === 0) throw new Error('a call for nobody');
    calls += 1;
    if (probe.test.length > 1) batches += 1;
    if (probe.test.some(isCulprit)) {
      if (probe.test.length === 1) {
        culprits.push(...probe.test);
        judged.push(...probe.test);
      }
      search = afterRefusal(search, probe);
    } else {
      judged.push(...probe.test);
      search = afterPass(search, probe);
    }
    if (calls > 20 * n + 20) throw new Error('the search does not end');
  }
  if (judged.length !== n || new Set(judged).size !== n) throw new Error('not everybody was judged once');
  return { calls, batches, culprits: culprits.sort((a, b) => a - b) };
}

/** Mulberry32: the same figures at every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function draw(n: number, k: number, random: () => number): Set<number> {
  const drawn = new Set<number>();
  while (drawn.size < k) drawn.add(Math.floor(random() * n));
  return drawn;
}

/** log2 of the number of ways to choose k of n: no method needs fewer yes-or-no answers on average. */
function bound(n: number, k: number): number {
  let bits = 0;
  for (let i = 0; i < k; i++) bits += Math.log2((n - i) / (i + 1));
  return bits;
}

it('finds exactly the culprits and clears everybody else, each user judged once', () => {
  fc.assert(
    fc.property(
      fc
        .integer({ min: 1, max: 120 })
        .chain((n) => fc.tuple(fc.constant(n), fc.subarray([...Array(n).keys()]))),
      fc.double({ min: 0, max: 1, noNaN: true }),
      ([n, bad], share) => {
        expect(play(n, (user) => bad.includes(user), share).culprits).toEqual(bad);
      },
    ),
  );
});

// The figures of docs/decisions, splitting.
it.each([
  [1, 8.8, 12],
  [3, 24.2, 36],
  [10, 64.5, 90],
])('of 100 users %i culprits cost %d calls on average, %i at worst', (k, mean, worst) => {
  const random = seeded(k);
  const costs = Array.from({ length: 2_000 }, () => {
    const bad = draw(100, k, random);
    return play(100, (user) => bad.has(user)).calls;
  });
  const average = costs.reduce((sum, calls) => sum + calls, 0) / costs.length;
  const summary = { k, average, worst: Math.max(...costs), bound: bound(100, k) };
  expect([summary, average <= mean, summary.worst <= worst, average >= summary.bound]).toEqual([
    summary,
    true,
    true,
    true,
  ]);
});

it('goes on with the other part alone when one part passes: it is known to hold the culprit', () => {
  const search = searchOf(Array.from({ length: 100 }, (_, i) => i));
  const probe = nextProbe(search, 0.001);
  if (probe === undefined) throw new Error('a probe was due');
  const next = nextProbe(afterPass(search, probe), 0.001);
  expect(next?.test.length).toBeLessThan(probe.others.length);
  expect(probe.others).toEqual(expect.arrayContaining([...(next?.test ?? [])]));
});

it('puts the rest back together when a part is refused', () => {
  const search = searchOf(Array.from({ length: 100 }, (_, i) => i));
  const probe = nextProbe(search, 0.001);
  if (probe === undefined) throw new Error('a probe was due');
  const after = afterRefusal(search, probe);
  expect(after.suspects).toEqual(probe.test);
  expect(after.untested).toEqual(probe.others);
});

it('calls small parts where culprits are many', () => {
  const search: Search<number> = {
    ...searchOf<number>([]),
    untested: Array.from({ length: 100 }, (_, i) => i),
  };
  expect(nextProbe(search, 0.001)?.test).toHaveLength(100);
  expect(nextProbe(search, 0.05)?.test).toHaveLength(14);
});
