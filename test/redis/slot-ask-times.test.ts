import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { type Candidate, createSlotClient, type SlotClient } from '../../src/pace/slot.ts';
import { BATCH, type Stage, useStages } from './stage.ts';

/** When processes that wait for slots are told to ask again: each at a time of its own, none too late. */
const fresh = useStages();

/** Ten seconds: nothing here is a matter of how fast the machine is. */
const SPACING_MS = 10_000;

interface Desk {
  readonly stage: Stage;
  readonly candidate: Candidate;
  /** Another process's book. */
  book(): SlotClient;
}

async function desk(): Promise<Desk> {
  const stage = fresh();
  const { redis, keys } = stage;
  await redis.hset(`${keys.callPrefix}c1`, 'run', 'mine');
  await redis.hset(keys.pacePrefix + BATCH, 'next', '0');
  return {
    stage,
    candidate: { callId: 'c1', run: 'mine', slotClass: 'live' },
    book: () => createSlotClient(redis, keys, BATCH, createRedisClock(), SPACING_MS * 1_000),
  };
}

/** Takes so many slots; answers when to ask for the next one, by the last answer. */
async function reserve({ book, candidate }: Desk, slots: number): Promise<number> {
  let nextMs = 0;
  for (let i = 1; i <= slots; i++) {
    const answer = await book().ask([candidate], i === slots ? ['live'] : []);
    if (answer.kind !== 'slot') throw new Error(`no slot: ${JSON.stringify(answer)}`);
    nextMs = answer.nextMs;
  }
  return nextMs;
}

/** One now and five ahead of it. */
const ALL = 6;

async function told({ book, candidate }: Desk): Promise<number> {
  const answer = await book().ask([candidate]);
  if (answer.kind !== 'later') throw new Error(`not later: ${JSON.stringify(answer)}`);
  return answer.waitMs;
}

test('one who goes on waiting hears it with the slot; one who does not is told nothing', async () => {
  const d = await desk();
  const first = await d.book().ask([d.candidate], ['live']);
  // A slot could be had at once.
  expect(first).toMatchObject({ kind: 'slot', nextMs: 0 });
  const nextMs = await reserve(d, ALL - 1);
  expect(nextMs).toBeGreaterThan(SPACING_MS / 2);
  expect(nextMs).toBeLessThanOrEqual(SPACING_MS);
  expect(await d.stage.redis.hexists(d.stage.keys.pacePrefix + BATCH, 'told')).toBe(1);
});

test('those who ask in turn are told times that lie a spacing apart', async () => {
  const d = await desk();
  const times = [await reserve(d, ALL), await told(d), await told(d), await told(d)];
  for (let i = 1; i < times.length; i++) {
    const apart = (times[i] ?? 0) - (times[i - 1] ?? 0);
    expect(apart).toBeGreaterThan(0.9 * SPACING_MS);
    expect(apart).toBeLessThanOrEqual(SPACING_MS);
  }
});

test('however many wait, nobody is told a time by which what is reserved ahead has run out', async () => {
  const d = await desk();
  await reserve(d, ALL);
  const times: number[] = [];
  for (let i = 0; i < 20; i++) times.push(await told(d));
  expect(Math.max(...times)).toBeLessThanOrEqual(5 * SPACING_MS);
});

test('a time from another clock, or one that is over, postpones nobody', async () => {
  const d = await desk();
  await reserve(d, ALL);
  for (const at of ['1', String(9e15)]) {
    await d.stage.redis.hset(d.stage.keys.pacePrefix + BATCH, 'told', at);
    expect(await told(d)).toBeLessThanOrEqual(SPACING_MS);
  }
});

test('what waits on keeps its place before lower classes, slot or not', async () => {
  const d = await desk();
  const { redis, keys } = d.stage;
  await redis.hset(`${keys.callPrefix}c2`, 'run', 'mine');
  const retry: Candidate = { callId: 'c2', run: 'mine', slotClass: 'retry' };
  // A process with more live calls behind this one, and a retry.
  expect(await d.book().ask([d.candidate, retry], ['live'])).toMatchObject({ kind: 'slot', index: 0 });
  // Another process has a retry only: it is the turn of the live ones.
  expect((await d.book().ask([retry])).kind).toBe('later');
  // The last live one: now it is.
  expect(await d.book().ask([d.candidate])).toMatchObject({ kind: 'slot', index: 0 });
  expect(await d.book().ask([retry])).toMatchObject({ kind: 'slot', index: 0 });
});
