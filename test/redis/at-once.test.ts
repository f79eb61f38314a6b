import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import type { RawEntry } from '../../src/event/event.ts';
import { createApiModel, type Run, startProcess } from './crew.ts';
import { expectDrained, fieldsOf, type Made } from './ledger-model.ts';
import { BATCH, type Stage, useStages } from './stage.ts';

/** Processes that produce, cut, claim, send and settle at the same time, and take each other's calls away. */
const fresh = useStages();

const PROCESSES = 3;
const RUNNERS = 3;
const EVENTS = 300;
const USERS = 7;
/** No further rush is begun after this, on a machine that is busy. */
const ENOUGH_MS = 10_000;

/** A small generator of our own (mulberry32), so that each loop has its own chances from one seed. */
function chances(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Seen {
  samples: number;
  /** Runs that another one took the record from. */
  lost: number;
  crashed: number;
}

async function rush(stage: Stage, seed: number): Promise<Seen> {
  const { redis, keys } = stage;
  const api = createApiModel();
  const accepted: RawEntry[] = [];
  const seen: Seen = { samples: 0, lost: 0, crashed: 0 };
  let producing = 2;
  let done = false;
  await redis.hset(keys.pacePrefix + BATCH, 'next', '0');

  const pause = async (random: () => number): Promise<void> => {
    for (let left = Math.floor(random() * 4); left > 0; left--) await turn();
  };
  const produce = async (random: () => number): Promise<void> => {
    const connection = stage.connect();
    const kinds = [
      'good',
      'good',
      'good',
      'good',
      'good',
      'bad',
      'bad',
      'robot',
      'malformed',
      'large',
    ] as const;
    for (let i = 0; i < EVENTS / 2; i++) {
      const made: Made = {
        user: Math.floor(random() * USERS),
        kind: kinds[Math.floor(random() * kinds.length)] ?? 'good',
      };
      const fields = fieldsOf(made);
      accepted.push({ eventId: String(await connection.xadd(keys.stream, '*', ...fields)), fields });
      await pause(random);
    }
    producing--;
  };

  /** Calls that are on the wire, or about to be: a later run of the same record sends after they have arrived. */
  const onTheWire = new Map<string, Promise<unknown>>();
  const send = async (run: Run, random: () => number): Promise<boolean> => {
    const before = onTheWire.get(run.callId);
    const sending = (async (): Promise<boolean> => {
      if (!(await run.process.slot(run))) return false;
      await before;
      await pause(random);
      api.land(run.unheard.imported);
      return true;
    })();
    onTheWire.set(run.callId, Promise.allSettled([before, sending]));
    return sending;
  };
  const work = async (processName: string, random: () => number): Promise<void> => {
    const process = startProcess(stage, processName);
    while (!done) {
      if (random() < 0.5) await process.cut(1 + Math.floor(random() * 5), 12);
      const open = await redis.zrange(keys.open, '0', '-1');
      const callId = open[Math.floor(random() * open.length)];
      if (callId === undefined) {
        await pause(random);
        continue;
      }
      const run = await process.claim(callId, () => random() < 0.15);
      if (run === undefined) continue;
      await pause(random);
      if (!(await send(run, random))) {
        seen.lost++;
        continue;
      }
      if (random() < 0.1) {
        seen.crashed++;
        continue;
      }
      await pause(random);
      if (!(await process.settle(run))) seen.lost++;
    }
  };
  const watch = async (): Promise<void> => {
    while (!done) {
      expect(await stage.problems()).toEqual([]);
      seen.samples++;
      // In one step: what is parked goes to the intake as its user's call ends, and must not slip through between looks.
      const left = await redis
        .multi()
        .xlen(keys.stream)
        .llen(keys.returned)
        .zcard(keys.open)
        .exists(keys.parkedCounts)
        .exec();
      done = producing === 0 && left?.every(([, count]) => count === 0) === true;
    }
  };
  const random = (n: number): (() => number) => chances(seed + 7919 * n);
  const loops = [
    produce(random(1)),
    produce(random(2)),
    watch(),
    ...Array.from({ length: PROCESSES * RUNNERS }, (_, i) => work(`p${i % PROCESSES}`, random(3 + i))),
  ];
  try {
    await Promise.all(loops);
  } finally {
    done = true;
    await Promise.allSettled(loops);
  }
  await expectDrained(stage, accepted, api);
  return seen;
}

test('at any moment of a rush the books balance, and at its end every event has come to its own', async () => {
  const all: Seen = { samples: 0, lost: 0, crashed: 0 };
  const enoughAtMs = performance.now() + ENOUGH_MS;
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      if (performance.now() > enoughAtMs) return;
      const seen = await rush(fresh(), seed);
      all.samples += seen.samples;
      all.lost += seen.lost;
      all.crashed += seen.crashed;
    }),
    { seed: 20250403, numRuns: 3, endOnFailure: true },
  );
  // The races took place.
  expect(all.samples).toBeGreaterThan(10);
  expect(all.lost).toBeGreaterThan(5);
  expect(all.crashed).toBeGreaterThan(5);
}, 120_000);
