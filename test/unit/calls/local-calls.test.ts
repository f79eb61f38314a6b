import type { RunEnd } from '../../../src/calls/bullmq/call-worker.ts';
import { LocalCalls } from '../../../src/calls/local-calls.ts';
import { stuckLoops } from '../../../src/ops/liveness.ts';

const { jest } = import.meta;

const KEEP_ALIVE_MS = 1_500;
const FINISHED: RunEnd = { kind: 'finished' };

beforeEach(() => {
  // Loop deadlines go by the real clock.
  jest.useFakeTimers({ doNotFake: ['performance'] });
});
afterEach(() => {
  jest.useRealTimers();
});

const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);
const settled = () => pass(0);

/** Local calls whose ends the test decides, and what became of them. */
function open(options: Partial<ConstructorParameters<typeof LocalCalls>[0]> = {}) {
  const jobs: [callId: string, delayMs: number][] = [];
  const shown: (readonly string[])[] = [];
  const failed: [callId: string, message: string][] = [];
  const troubles: string[] = [];
  const localCalls = new LocalCalls({
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
    ['that finishes its call makes no job', FINISHED, []],
    ['that delays its call makes a delayed job', { kind: 'later', delayMs: 300 }, [['c1', 300]]],
    ['delays by whole milliseconds, never too short', { kind: 'later', delayMs: 12.1 }, [['c1', 13]]],
    ['delays by one millisecond at least', { kind: 'later', delayMs: 0 }, [['c1', 1]]],
    [
      'delays by one millisecond when the time is over already',
      { kind: 'later', delayMs: -7.5 },
      [['c1', 1]],
    ],
    ['that leaves its call makes a job that is due at once', { kind: 'leave' }, [['c1', 0]]],
  ])('%s', async (_, end, expected) => {
    const { localCalls, take, jobs, failed } = open();
    take('c1')(end);
    expect(localCalls.size).toBe(1);
    await settled();
    expect([jobs, failed, localCalls.size]).toEqual([expected, [], 0]);
  });

  it('that rejects is reported, makes no job and ends the local call', async () => {
    const { localCalls, take, jobs, failed } = open();
    const [end] = [take('c1'), take('c2')];
    end(Promise.reject(new Error('Connection is closed.')));
    await settled();
    expect([jobs, failed, localCalls.size]).toEqual([[], [['c1', 'Connection is closed.']], 1]);
  });

  it('whose job cannot be made is reported, and ends the local call', async () => {
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

describe('local calls', () => {
  it('are kept alive every 1.5 s, without those that have ended', async () => {
    const { take, shown } = open();
    const first = take('c1');
    await pass(KEEP_ALIVE_MS - 1);
    expect(shown).toEqual([]);
    await pass(1);
    expect(shown).toEqual([['c1']]);
    const second = take('c2');
    await pass(KEEP_ALIVE_MS);
    expect(shown.slice(1)).toEqual([['c1', 'c2']]);
    first(FINISHED);
    await pass(KEEP_ALIVE_MS);
    expect(shown.slice(2)).toEqual([['c2']]);
    second(FINISHED);
    await pass(10 * KEEP_ALIVE_MS);
    expect(shown).toHaveLength(3);
  });

  it('ask nothing of Redis while there are none', async () => {
    const { take, shown } = open();
    await pass(10 * KEEP_ALIVE_MS);
    take('c1')(FINISHED);
    await pass(10 * KEEP_ALIVE_MS);
    expect(shown).toEqual([]);
    take('c2');
    await pass(KEEP_ALIVE_MS);
    expect(shown).toEqual([['c2']]);
  });

  it('are kept alive after Redis refused once, and the error is reported', async () => {
    let asked = 0;
    const { take, troubles } = open({
      show: async () => {
        asked++;
        if (asked === 1) throw new Error('READONLY');
      },
    });
    take('c1');
    await pass(KEEP_ALIVE_MS);
    expect([asked, troubles]).toEqual([1, ['READONLY']]);
    // The loop rests for a millisecond after an error.
    await pass(2 * KEEP_ALIVE_MS + 1);
    expect([asked, troubles]).toEqual([3, ['READONLY']]);
  });

  it('are kept alive by one command at a time, however long Redis takes', async () => {
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
    await pass(KEEP_ALIVE_MS);
    take('c2');
    await pass(10 * KEEP_ALIVE_MS);
    expect(asked).toBe(1);
    answer();
    await pass(KEEP_ALIVE_MS);
    expect(asked).toBe(2);
  });
});

describe('room', () => {
  it('is there at once below the bound, and at the bound when a call ends', async () => {
    const { localCalls, take } = open({ places: 2 });
    const first = take('c1');
    const below = resolving(localCalls.room());
    await settled();
    expect(below.done).toBe(true);
    take('c2');
    const full = resolving(localCalls.room());
    await pass(10 * KEEP_ALIVE_MS);
    expect(full.done).toBe(false);
    first(FINISHED);
    await settled();
    expect(full.done).toBe(true);
  });

  it('is there when a call ends in a failure, but not before its job was tried', async () => {
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

  it('lets one more call in for each that ends', async () => {
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
  it('ends when all calls have ended and their jobs are made, and keeps them alive until then', async () => {
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
    await pass(2 * KEEP_ALIVE_MS);
    expect(shown).toEqual([['c2'], ['c2']]);
    second({ kind: 'leave' });
    await settled();
    expect(closed.done).toBe(false);
    made();
    await settled();
    expect(closed.done).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
    await pass(10 * KEEP_ALIVE_MS);
    expect(shown).toHaveLength(2);
  });

  it('ends at once when there are no local calls', async () => {
    const { localCalls } = open();
    const closed = resolving(localCalls.close());
    await settled();
    expect(closed.done).toBe(true);
  });

  it('does not wait for a late answer of Redis, and sends nothing after it', async () => {
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
    await pass(KEEP_ALIVE_MS);
    const closed = resolving(localCalls.close());
    end(FINISHED);
    await settled();
    expect(closed.done).toBe(true);
    answer();
    await pass(10 * KEEP_ALIVE_MS);
    expect([asked, jest.getTimerCount()]).toEqual([1, 0]);
  });
});

describe('the deadline', () => {
  const always = { answeringSinceMs: Number.NEGATIVE_INFINITY };
  const isStuck = ({ deadline }: LocalCalls, ms: number): boolean =>
    stuckLoops([{ name: 'calls in hand', deadline }], always, performance.now() + ms).length > 0;

  it('is due at the next keep-alive, and passes when Redis does not answer one', async () => {
    const { localCalls, take } = open({ show: () => new Promise(() => undefined) });
    take('c1');
    await settled();
    expect(isStuck(localCalls, 31_000)).toBe(false);
    expect(isStuck(localCalls, 32_000)).toBe(true);
    await pass(KEEP_ALIVE_MS);
    expect(isStuck(localCalls, 29_000)).toBe(false);
    expect(isStuck(localCalls, 31_000)).toBe(true);
  });
});
