import { setImmediate as nextPhase, setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { Loop } from '../../../src/lifecycle/loop.ts';

/** Longer than any test runs: a rest of this ends only because something ended it. */
const HOUR = 3_600_000;
const unexpected = (error: Error): void => {
  throw error;
};

/** A loop whose turns are counted; each turn does `work`. */
function countedLoop(work: (loop: Loop, turn: number) => Promise<void>) {
  const errors: string[] = [];
  const counts = { turns: 0, atOnce: 0, mostAtOnce: 0 };
  const loop = new Loop({
    turn: async (self) => {
      counts.turns++;
      counts.mostAtOnce = Math.max(counts.mostAtOnce, ++counts.atOnce);
      try {
        await work(self, counts.turns);
      } finally {
        counts.atOnce--;
      }
    },
    errorRestMs: 1,
    onError: ({ message }) => errors.push(message),
  });
  return { loop, counts, errors };
}

describe('a loop', () => {
  test('turns after run, and rests as long as a turn says', async () => {
    const startedMs = performance.now();
    const { loop, counts } = countedLoop((self) => self.rest(20));
    loop.run();
    expect(counts.turns).toBe(0);
    while (counts.turns < 3) await sleep(1);
    // Two rests; timers may fire a millisecond early.
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(38);
    await loop.stop();
  });

  test('runs one series of turns, however often run is called', async () => {
    const { loop, counts } = countedLoop((self) => self.rest(1));
    for (let i = 0; i < 5; i++) loop.run();
    while (counts.turns < 5) await sleep(1);
    loop.run();
    await loop.stop();
    expect(counts.mostAtOnce).toBe(1);
  });

  test('goes on after a turn that rejects, and rests between', async () => {
    const { loop, counts, errors } = countedLoop(async (self, turn) => {
      if (turn <= 2) throw new Error(`turn ${turn} failed`);
      await self.rest(HOUR);
    });
    loop.run();
    while (counts.turns < 3) await sleep(1);
    expect(errors).toEqual(['turn 1 failed', 'turn 2 failed']);
    await loop.stop();
  });

  test('goes on after a turn that throws before it returns a promise', async () => {
    const errors: string[] = [];
    const loop = new Loop({
      turn: () => {
        throw new Error('no promise');
      },
      errorRestMs: HOUR,
      onError: ({ message }) => errors.push(message),
    });
    loop.run();
    await nextPhase();
    expect(errors).toEqual(['no promise']);
    await loop.stop();
  });
});

describe('wake', () => {
  test('ends a rest', async () => {
    const { loop, counts } = countedLoop((self) => self.rest(HOUR));
    loop.run();
    await nextPhase();
    loop.wake();
    await nextPhase();
    expect(counts.turns).toBe(2);
    await loop.stop();
  });

  test('during a turn ends the next rest, once', async () => {
    const { loop, counts } = countedLoop(async (self, turn) => {
      if (turn === 1) {
        await nextPhase();
        loop.wake();
        loop.wake();
      }
      await self.rest(HOUR);
    });
    loop.run();
    await sleep(20);
    expect(counts.turns).toBe(2);
    await loop.stop();
  });

  test('before run is not lost', async () => {
    const { loop, counts } = countedLoop((self) => self.rest());
    loop.wake();
    loop.run();
    await nextPhase();
    expect(counts.turns).toBe(2);
    await loop.stop();
  });
});

describe('a rest', () => {
  test('ends when the other work ends', async () => {
    let finish = (): void => undefined;
    const other = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { loop, counts } = countedLoop((self, turn) => self.rest(HOUR, turn === 1 ? other : undefined));
    loop.run();
    await nextPhase();
    expect(counts.turns).toBe(1);
    finish();
    await nextPhase();
    expect(counts.turns).toBe(2);
    await loop.stop();
  });

  test('rejects when the other work rejects, which counts as an error of the turn', async () => {
    const { loop, counts, errors } = countedLoop((self, turn) =>
      self.rest(HOUR, turn === 1 ? Promise.reject(new Error('reading failed')) : undefined),
    );
    loop.run();
    while (counts.turns < 2) await sleep(1);
    expect(errors).toEqual(['reading failed']);
    await loop.stop();
  });

  test('that is longer than a timer can be does not make the loop spin', async () => {
    const { loop, counts } = countedLoop((self) => self.rest(Number.POSITIVE_INFINITY));
    loop.run();
    await sleep(20);
    expect(counts.turns).toBe(1);
    await loop.stop();
  });
});

describe('stop', () => {
  test('waits for the turn at hand, and no other turn follows', async () => {
    let finish = (): void => undefined;
    const work = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { loop, counts } = countedLoop(() => work);
    loop.run();
    await nextPhase();
    let stopped = false;
    const stopping = loop.stop().then(() => {
      stopped = true;
    });
    await nextPhase();
    expect([stopped, loop.isStopping]).toEqual([false, true]);
    finish();
    await stopping;
    await sleep(5);
    expect(counts.turns).toBe(1);
  });

  test('ends a rest at once', async () => {
    const { loop, counts } = countedLoop((self) => self.rest(HOUR));
    loop.run();
    await nextPhase();
    await loop.stop();
    expect(counts.turns).toBe(1);
  });

  test('leaves no rest for a turn that wants one afterwards', async () => {
    const { loop } = countedLoop(async (self) => {
      await nextPhase();
      await self.rest(HOUR);
    });
    loop.run();
    await Promise.resolve();
    await loop.stop();
  });

  test('twice resolves twice', async () => {
    const { loop, counts } = countedLoop((self) => self.rest(HOUR));
    loop.run();
    await nextPhase();
    await Promise.all([loop.stop(), loop.stop()]);
    await loop.stop();
    expect(counts.turns).toBe(1);
  });

  test('before run resolves at once, and the loop never turns', async () => {
    const { loop, counts } = countedLoop((self) => self.rest(1));
    await loop.stop();
    loop.run();
    loop.wake();
    await sleep(5);
    expect(counts.turns).toBe(0);
    expect(loop.dueMs).toBeNull();
  });

  test('while the loop starts keeps it from its first turn', async () => {
    const { loop, counts } = countedLoop((self) => self.rest(1));
    loop.run();
    await loop.stop();
    expect(counts.turns).toBe(0);
  });

  test('from within a turn ends the loop after that turn', async () => {
    let stopped: Promise<void> | undefined;
    const { loop, counts } = countedLoop(async (self) => {
      stopped = self.stop();
    });
    loop.run();
    await nextPhase();
    await stopped;
    expect(counts.turns).toBe(1);
  });

  test('keeps quiet about what breaks because of it', async () => {
    const { loop, errors } = countedLoop(async () => {
      await nextPhase();
      throw new Error('connection closed');
    });
    loop.run();
    await Promise.resolve();
    await loop.stop();
    expect(errors).toEqual([]);
  });

  test('ends a rest that follows an error', async () => {
    const loop = new Loop({
      turn: () => Promise.reject(new Error('failed')),
      errorRestMs: HOUR,
      onError: () => undefined,
    });
    loop.run();
    await nextPhase();
    await loop.stop();
  });
});

describe('the deadline', () => {
  let nowMs = 0;
  const timed = (turn: (loop: Loop) => Promise<void>): Loop =>
    new Loop({ turn, errorRestMs: 500, onError: unexpected, nowMs: () => nowMs });
  beforeEach(() => {
    nowMs = 1_000;
  });

  test('is none before the loop runs and after it has stopped', async () => {
    const loop = timed((self) => self.rest(HOUR));
    expect(loop.dueMs).toBeNull();
    loop.run();
    expect(loop.dueMs).toBe(1_000);
    await loop.stop();
    expect(loop.dueMs).toBeNull();
  });

  test('is the begin of the turn at hand, so that a turn that hangs becomes overdue', async () => {
    let finish = (): void => undefined;
    const loop = timed(
      () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    );
    loop.run();
    await nextPhase();
    nowMs = 90_000;
    expect(loop.dueMs).toBe(1_000);
    finish();
    await nextPhase();
    expect(loop.dueMs).toBe(90_000);
    const stopping = loop.stop();
    finish();
    await stopping;
  });

  test('is the end of a rest, and none in a rest without an end', async () => {
    const rests: (number | undefined)[] = [700, undefined];
    const loop = timed((self) => self.rest(rests.shift()));
    loop.run();
    await nextPhase();
    expect(loop.dueMs).toBe(1_700);
    loop.wake();
    await nextPhase();
    expect(loop.dueMs).toBeNull();
    await loop.stop();
  });

  test('is none while a turn waits idly, and counts from the end of that', async () => {
    let finish = (): void => undefined;
    const place = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const loop = timed(async (self) => {
      await self.idleUntil(place);
      await new Promise<void>((resolve) => setTimeout(resolve, 5));
    });
    loop.run();
    await nextPhase();
    expect(loop.dueMs).toBeNull();
    nowMs = 5_000;
    finish();
    await Promise.resolve();
    await Promise.resolve();
    expect(loop.dueMs).toBe(5_000);
    await loop.stop();
  });
});

type Step = 'run' | 'wake' | 'stop' | 'pass';
type Work = 'return' | 'rest' | 'rest-short' | 'wait' | 'throw';

test('in any order of run, wake and stop there is one turn at a time, and none after a stop', async () => {
  const steps = fc.array(fc.constantFrom<Step>('run', 'wake', 'stop', 'pass', 'pass'), { maxLength: 12 });
  const works = fc.array(fc.constantFrom<Work>('return', 'rest', 'rest-short', 'wait', 'throw'), {
    minLength: 1,
    maxLength: 5,
  });
  await fc.assert(
    fc.asyncProperty(steps, works, async (order, plan) => {
      const { loop, counts } = countedLoop(async (self, turn) => {
        await nextPhase();
        switch (plan[turn % plan.length]) {
          case 'rest':
            return self.rest(HOUR);
          case 'rest-short':
            return self.rest(1);
          case 'wait':
            return self.idleUntil(nextPhase());
          case 'throw':
            throw new Error('failed');
          default:
        }
      });
      const stops: Promise<void>[] = [];
      for (const step of order) {
        if (step === 'pass') await nextPhase();
        else if (step === 'stop') stops.push(loop.stop());
        else loop[step]();
      }
      await Promise.all([...stops, loop.stop()]);
      const turnsWhenStopped = counts.turns;
      loop.run();
      loop.wake();
      await nextPhase();
      expect([counts.atOnce, counts.turns]).toEqual([0, turnsWhenStopped]);
      expect(counts.mostAtOnce).toBeLessThanOrEqual(1);
      expect(loop.dueMs).toBeNull();
    }),
    { numRuns: 300 },
  );
});
