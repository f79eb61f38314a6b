import type { LoopDeadline } from '../../../src/lifecycle/loop.ts';
import { createHeartbeat, STUCK_AFTER_MS, stuckLoops } from '../../../src/ops/liveness.ts';

const MINUTE = 60_000;
const awake = { answeringSinceMs: 0 };
const silent = { answeringSinceMs: null };
const named = (deadline: LoopDeadline) => [{ name: 'the loop', deadline }];

describe('liveness', () => {
  /** What the deadline of a loop says, and what is found at `nowMs`. */
  const stuckAt = (nowMs: number, dueMs: number | null, heartbeat: typeof awake | typeof silent = awake) =>
    stuckLoops(named({ dueMs }), heartbeat, nowMs);

  it('names a loop that is due for more than 30 s, and for how long', () => {
    expect(stuckAt(STUCK_AFTER_MS, 0)).toEqual([]);
    expect(stuckAt(STUCK_AFTER_MS + 1_000, 0)).toEqual([{ loop: 'the loop', stuckForMs: 31_000 }]);
    expect(stuckAt(STUCK_AFTER_MS + 1_000, STUCK_AFTER_MS + 1_000)).toEqual([]);
  });

  it('counts from the end of the rest that a loop chose', () => {
    const dueMs = 60 * MINUTE;
    expect(stuckAt(dueMs + STUCK_AFTER_MS, dueMs)).toEqual([]);
    expect(stuckAt(dueMs + STUCK_AFTER_MS + 5, dueMs)).toEqual([{ loop: 'the loop', stuckForMs: 30_005 }]);
  });

  it('never names a loop that has nothing to do', () => {
    expect(stuckAt(60 * MINUTE, null)).toEqual([]);
  });

  it('names no loop while Redis does not answer, and counts from its return', () => {
    const nowMs = 60 * MINUTE;
    expect(stuckAt(nowMs, 0, silent)).toEqual([]);
    const back = { answeringSinceMs: nowMs };
    expect(stuckAt(nowMs + STUCK_AFTER_MS, 0, back)).toEqual([]);
    expect(stuckAt(nowMs + STUCK_AFTER_MS + 1, 0, back)).toHaveLength(1);
  });
});

/** A Redis whose answers the test gives, and a clock that it turns. */
function startBeating() {
  let now = 0;
  let asked = 0;
  let settle: { resolve: () => void; reject: (error: Error) => void } = {
    resolve: () => {},
    reject: () => {},
  };
  const beats: string[] = [];
  const heartbeat = createHeartbeat(
    {
      ping: () => {
        asked++;
        return new Promise<void>((resolve, reject) => {
          settle = { resolve, reject };
        });
      },
      onBeat: (found, refusal = '') => beats.push(`${now} ${found}${refusal}`),
    },
    () => now,
  );
  return {
    heartbeat,
    beats,
    asked: () => asked,
    beatAfter(ms: number) {
      now += ms;
      heartbeat.beat();
    },
    sleep(ms: number) {
      now += ms;
    },
    async end(how: 'resolve' | 'reject' | 'refuse') {
      if (how === 'resolve') settle.resolve();
      else if (how === 'reject') settle.reject(new Error('gone'));
      else settle.reject(Object.assign(new Error(' READONLY'), { name: 'ReplyError' }));
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe('heartbeat', () => {
  it('knows since when Redis answers without a break', async () => {
    const { heartbeat, beats, beatAfter, end } = startBeating();
    for (let i = 0; i < 5; i++) {
      beatAfter(2_000);
      await end('resolve');
    }
    expect(heartbeat.answeringSinceMs).toBe(0);
    expect(new Set(beats.map((beat) => beat.split(' ')[1]))).toEqual(new Set(['answers']));
  });

  it('says that Redis is silent, sends nothing meanwhile, and says that it answers', async () => {
    const { heartbeat, beats, asked, beatAfter, end } = startBeating();
    for (let i = 0; i < 10; i++) beatAfter(2_000);
    expect(asked()).toBe(1);
    expect(heartbeat.answeringSinceMs).toBeNull();
    expect([beats[0], new Set(beats.map((beat) => beat.split(' ')[1]))]).toEqual([
      '6000 silent',
      new Set(['silent']),
    ]);
    await end('resolve');
    expect(heartbeat.answeringSinceMs).toBe(20_000);
    expect(beats.at(-1)).toBe('20000 answers');
  });

  it('takes a broken connection for silence, and asks again', async () => {
    const { heartbeat, beats, beatAfter, end } = startBeating();
    beatAfter(2_000);
    await end('reject');
    expect(heartbeat.answeringSinceMs).toBeNull();
    beatAfter(2_000);
    await end('resolve');
    expect(heartbeat.answeringSinceMs).toBe(4_000);
    expect(beats).toEqual(['2000 silent', '4000 answers']);
  });

  it('says that Redis refuses, and why', async () => {
    const { heartbeat, beats, beatAfter, end } = startBeating();
    for (const how of ['refuse', 'refuse', 'reject', 'refuse'] as const) {
      beatAfter(2_000);
      await end(how);
    }
    expect(heartbeat.answeringSinceMs).toBeNull();
    expect(beats).toEqual([
      '2000 refuses READONLY',
      '4000 refuses READONLY',
      '6000 silent',
      '8000 refuses READONLY',
    ]);
    beatAfter(2_000);
    await end('resolve');
    expect(beats.slice(4)).toEqual(['10000 answers']);
  });

  it('does not count the time in which the process slept as a silence of Redis', async () => {
    const { heartbeat, beats, beatAfter, sleep } = startBeating();
    beatAfter(2_000);
    sleep(3_600_000);
    expect(heartbeat.answeringSinceMs).toBe(3_602_000);
    beatAfter(2_000);
    expect(beats).toEqual([]);
    beatAfter(2_000);
    expect(beats).toEqual(['3606000 silent']);
  });

  it('notices its sleep at the next beat, if no one asked before', () => {
    const { heartbeat, beats, beatAfter } = startBeating();
    beatAfter(2_000);
    beatAfter(3_600_000);
    expect(beats).toEqual([]);
    expect(heartbeat.answeringSinceMs).toBe(3_602_000);
  });
});
