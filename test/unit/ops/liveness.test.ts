import { createLoopDeadline, type LoopDeadline } from '../../../src/lifecycle/loop.ts';
import { runningDeadline, STUCK_AFTER_MS, stuckLoops } from '../../../src/ops/liveness.ts';

const MINUTE = 60_000;
const awake = { answeringSinceMs: 0, awakeSinceMs: 0 };
const named = (deadline: LoopDeadline) => [{ name: 'the loop', deadline }];

describe('liveness', () => {
  let now = 0;
  const nowMs = (): number => now;
  beforeEach(() => {
    now = 0;
  });

  it('names a loop that has not turned for more than 30 s, and for how long', () => {
    const deadline = createLoopDeadline(nowMs);
    deadline.turn();
    now = STUCK_AFTER_MS;
    expect(stuckLoops(named(deadline), awake, now)).toEqual([]);
    now += 1_000;
    expect(stuckLoops(named(deadline), awake, now)).toEqual([{ loop: 'the loop', stuckForMs: 31_000 }]);
    deadline.turn();
    expect(stuckLoops(named(deadline), awake, now)).toEqual([]);
  });

  it('counts from the end of the rest that a loop chose', () => {
    const deadline = createLoopDeadline(nowMs);
    deadline.turn();
    deadline.rest(60 * MINUTE);
    now = 60 * MINUTE + STUCK_AFTER_MS;
    expect(stuckLoops(named(deadline), awake, now)).toEqual([]);
    now += 5;
    expect(stuckLoops(named(deadline), awake, now)).toEqual([{ loop: 'the loop', stuckForMs: 30_005 }]);
  });

  it('never names a loop that has nothing to do', () => {
    const deadline = createLoopDeadline(nowMs);
    now = 60 * MINUTE;
    expect(stuckLoops(named(deadline), awake, now)).toEqual([]);
    deadline.turn();
    deadline.idle();
    now *= 2;
    expect(stuckLoops(named(deadline), awake, now)).toEqual([]);
  });

  it('names no loop while Redis does not answer, and counts from its return', () => {
    const deadline = createLoopDeadline(nowMs);
    deadline.turn();
    now = 60 * MINUTE;
    expect(stuckLoops(named(deadline), { answeringSinceMs: null, awakeSinceMs: 0 }, now)).toEqual([]);
    const back = { answeringSinceMs: now, awakeSinceMs: 0 };
    now += STUCK_AFTER_MS;
    expect(stuckLoops(named(deadline), back, now)).toEqual([]);
    now += 1;
    expect(stuckLoops(named(deadline), back, now)).toHaveLength(1);
  });

  it('does not count the time in which the whole process stood still', () => {
    const deadline = createLoopDeadline(nowMs);
    deadline.turn();
    now = 60 * MINUTE;
    expect(stuckLoops(named(deadline), { answeringSinceMs: 0, awakeSinceMs: now - 10 }, now)).toEqual([]);
  });

  it('names a loop that ended by itself', () => {
    const worker = { isRunning: true, deadline: createLoopDeadline(nowMs) };
    const deadline = runningDeadline(worker, nowMs);
    now = MINUTE;
    expect(stuckLoops(named(deadline), awake, now)).toEqual([]);
    worker.isRunning = false;
    expect(stuckLoops(named(deadline), awake, now)).toEqual([]);
    now += STUCK_AFTER_MS + 1;
    expect(stuckLoops(named(deadline), awake, now)).toHaveLength(1);
  });

  it('names a loop that runs but does not turn', () => {
    now = MINUTE;
    const turning = createLoopDeadline(nowMs);
    turning.turn();
    const deadline = runningDeadline({ isRunning: true, deadline: turning }, nowMs);
    now += STUCK_AFTER_MS;
    expect(stuckLoops(named(deadline), awake, now)).toEqual([]);
    now += 1;
    expect(stuckLoops(named(deadline), awake, now)).toHaveLength(1);
  });
});
