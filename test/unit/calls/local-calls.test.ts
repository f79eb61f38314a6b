import type { RunEnd } from '../../../src/calls/bullmq/call-worker.ts';
import { createLocalCalls } from '../../../src/calls/local-calls.ts';
import { stuckLoops } from '../../../src/ops/liveness.ts';

const { jest } = import.meta;

const SHOWN_EVERY_MS = 1_500;
const FINISHED: RunEnd = { kind: 'finished' };

beforeEach(() => {
  // Pulses go by the real clock.
  jest.useFakeTimers({ doNotFake: ['performance'] });
});
afterEach(() => {
  jest.useRealTimers();
});

const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);
const settled = () => pass(0);

/** Calls in hand whose ends the test says, and what came of them. */
function open(options: Partial<Parameters<typeof createLocalCalls>[0]> = {}) {
  const jobs: [callId: string, delayMs: number][] = [];
  const shown: (readonly string[])[] = [];
  const failed: [callId: string, message: string][] = [];
  const troubles: string[] = [];
  const localCalls = createLocalCalls({
    places: 10,
    show: async (callIds) => {
      shown.push(callIds);
    },
    addJob: async (callId, delayMs) => {
      jobs.push([callId, delayMs]);
    },
    onFailed: (callId, { message }) => failed.push([callId, message]),
    onTrouble: ({ message }) => troubles.push(message),
    ...options,
  });
  /** Takes a call; returns how to end its run. */
  const take = (callId: string): ((end: RunEnd | Promise<RunEnd>) => void) => {
    let end = (_: RunEnd | Promise<RunEnd>): void => undefined;
    const run = new Promise<RunEnd>((resolve) => {
      end = resolve;
    });
    localCalls.take(callId, () => run);
    return end;
  };
  return { localCalls, take, jobs, shown, failed, troubles };
}

/** Whether it has resolved so far. */
function resolving(promise: Promise<unknown>): { done: boolean } {
  const state = { done: false };
  void promise.then(() => {
    state.done = true;
  });
  return state;
}

describe('a run', () => {
  it.each<[string, RunEnd, [string, number][]]>([
    ['that finished its call makes no job', FINISHED, []],
    ['that puts its call off makes a job for then', { kind: 'later', delayMs: 300 }, [['c1', 300]]],
    ['puts off by whole milliseconds, never too short', { kind: 'later', delayMs: 12.1 }, [['c1', 13]]],
    ['puts off by one millisecond at least', { kind: 'later', delayMs: 0 }, [['c1', 1]]],
    ['does so when the time is over already', { kind: 'later', delayMs: -7.5 }, [['c1', 1]]],
    ['that leaves its call makes a job at once', { kind: 'leave' }, [['c1', 0]]],
  ])('%s', async (_, end, expected) => {
    const { localCalls, take, jobs, failed } = open();
    take('c1')(end);
    expect(localCalls.size).toBe(1);
    await settled();
    expect([jobs, failed, localCalls.size]).toEqual([expected, [], 0]);
  });

  it('that rejects is told, makes no job and is in hand no more', async () => {
    const { localCalls, take, jobs, failed } = open();
    const [end] = [take('c1'), take('c2')];
    end(Promise.reject(new Error('Connection is closed.')));
    await settled();
    expect([jobs, failed, localCalls.size]).toEqual([[], [['c1', 'Connection is closed.']], 1]);
  });

  it('whose job cannot be made is told, and is in hand no more', async () => {
    const { localCalls, take, failed } = open({ addJob: () => Promise.reject(new Error('READONLY')) });
    take('c1')({ kind: 'later', delayMs: 300 });
    take('c2')({ kind: 'leave' });
    take('c3')(FINISHED);
    await settled();
    expect(failed).toEqual([
      ['c1', 'READONLY'],
      ['c2', 'READONLY'],
    ]);
    expect(localCalls.size).toBe(0);
  });
});

describe('calls in hand', () => {
  it('are shown every 1.5 s while any is, without those that ended', async () => {
    const { take, shown } = open();
    const first = take('c1');
    await pass(SHOWN_EVERY_MS - 1);
    expect(shown).toEqual([]);
    await pass(1);
    expect(shown).toEqual([['c1']]);
    const second = take('c2');
    await pass(SHOWN_EVERY_MS);
    expect(shown.slice(1)).toEqual([['c1', 'c2']]);
    first(FINISHED);
    await pass(SHOWN_EVERY_MS);
    expect(shown.slice(2)).toEqual([['c2']]);
    second(FINISHED);
    await pass(10 * SHOWN_EVERY_MS);
    expect(shown).toHaveLength(3);
  });

  it('are not shown and nothing is waited for while none is, and again when one comes', async () => {
    const { take, shown } = open();
    await pass(10 * SHOWN_EVERY_MS);
    expect(jest.getTimerCount()).toBe(0);
    take('c1')(FINISHED);
    await pass(10 * SHOWN_EVERY_MS);
    expect(jest.getTimerCount()).toBe(0);
    expect(shown).toEqual([]);
    take('c2');
    await pass(SHOWN_EVERY_MS);
    expect(shown).toEqual([['c2']]);
  });

  it('are shown on after Redis refused once, which is told', async () => {
    let asked = 0;
    const { take, troubles } = open({
      show: async () => {
        asked++;
        if (asked === 1) throw new Error('READONLY');
      },
    });
    take('c1');
    await pass(SHOWN_EVERY_MS);
    expect([asked, troubles]).toEqual([1, ['READONLY']]);
    await pass(2 * SHOWN_EVERY_MS);
    expect([asked, troubles]).toEqual([3, ['READONLY']]);
  });

  it('are shown once at a time, however long Redis takes', async () => {
    let asked = 0;
    let answer = (): void => undefined;
    const { take } = open({
      show: () => {
        asked++;
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
    });
    take('c1');
    await pass(SHOWN_EVERY_MS);
    take('c2');
    await pass(10 * SHOWN_EVERY_MS);
    expect(asked).toBe(1);
    answer();
    await pass(SHOWN_EVERY_MS);
    expect(asked).toBe(2);
  });
});

describe('room', () => {
  it('is there at once below the places, and at them when a call ends', async () => {
    const { localCalls, take } = open({ places: 2 });
    const first = take('c1');
    const below = resolving(localCalls.room());
    await settled();
    expect(below.done).toBe(true);
    take('c2');
    const full = resolving(localCalls.room());
    await pass(10 * SHOWN_EVERY_MS);
    expect(full.done).toBe(false);
    first(FINISHED);
    await settled();
    expect(full.done).toBe(true);
  });

  it('is there, too, when the call ends in a failure, but not before its job is made', async () => {
    let refuse = (_: Error): void => undefined;
    const { localCalls, take } = open({
      places: 1,
      addJob: () =>
        new Promise((_, reject) => {
          refuse = reject;
        }),
    });
    take('c1')({ kind: 'leave' });
    const room = resolving(localCalls.room());
    await settled();
    expect(room.done).toBe(false);
    refuse(new Error('READONLY'));
    await settled();
    expect(room.done).toBe(true);
  });

  it('lets one in for each call that ends', async () => {
    const { localCalls, take } = open({ places: 1 });
    const end = take('c1');
    const waiting = [resolving(localCalls.room()), resolving(localCalls.room())];
    end(FINISHED);
    await settled();
    expect(waiting.map(({ done }) => done)).toEqual([true, false]);
    take('c2')(FINISHED);
    await settled();
    expect(waiting.map(({ done }) => done)).toEqual([true, true]);
  });
});

describe('closing', () => {
  it('is done when all have ended and their jobs are made, and until then they are shown', async () => {
    let made = (): void => undefined;
    const { localCalls, take, shown } = open({
      addJob: () =>
        new Promise((resolve) => {
          made = resolve;
        }),
    });
    const [first, second] = [take('c1'), take('c2')];
    const closed = resolving(localCalls.close());
    first(FINISHED);
    await pass(2 * SHOWN_EVERY_MS);
    expect(shown).toEqual([['c2'], ['c2']]);
    second({ kind: 'leave' });
    await settled();
    expect(closed.done).toBe(false);
    made();
    await settled();
    expect(closed.done).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
    await pass(10 * SHOWN_EVERY_MS);
    expect(shown).toHaveLength(2);
  });

  it('is done at once when none is in hand', async () => {
    const { localCalls } = open();
    const closed = resolving(localCalls.close());
    await settled();
    expect(closed.done).toBe(true);
  });

  it('does not wait for a show that Redis answers late, and none follows it', async () => {
    let asked = 0;
    let answer = (): void => undefined;
    const { localCalls, take } = open({
      show: () => {
        asked++;
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
    });
    const end = take('c1');
    await pass(SHOWN_EVERY_MS);
    const closed = resolving(localCalls.close());
    end(FINISHED);
    await settled();
    expect(closed.done).toBe(true);
    answer();
    await pass(10 * SHOWN_EVERY_MS);
    expect([asked, jest.getTimerCount()]).toEqual([1, 0]);
  });
});

describe('the deadline', () => {
  const always = { answeringSinceMs: Number.NEGATIVE_INFINITY, awakeSinceMs: Number.NEGATIVE_INFINITY };
  const isStuck = ({ deadline }: ReturnType<typeof createLocalCalls>, ms: number): boolean =>
    stuckLoops([{ name: 'calls in hand', deadline }], always, performance.now() + ms).length > 0;

  it('is idle while nothing is in hand', async () => {
    const { localCalls, take } = open();
    expect(localCalls.deadline.dueMs).toBeNull();
    const end = take('c1');
    expect(localCalls.deadline.dueMs).not.toBeNull();
    end(FINISHED);
    await pass(SHOWN_EVERY_MS);
    expect(localCalls.deadline.dueMs).toBeNull();
  });

  it('is due at the next show, and stops when Redis does not answer one', async () => {
    const { localCalls, take } = open({ show: () => new Promise(() => undefined) });
    take('c1');
    expect(isStuck(localCalls, 31_000)).toBe(false);
    expect(isStuck(localCalls, 32_000)).toBe(true);
    await pass(SHOWN_EVERY_MS);
    expect(isStuck(localCalls, 29_000)).toBe(false);
    expect(isStuck(localCalls, 31_000)).toBe(true);
  });
});
