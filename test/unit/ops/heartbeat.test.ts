import { createHeartbeat } from '../../../src/ops/heartbeat.ts';

/** A Redis whose answers the test gives, and a clock that it turns. */
function setUp() {
  let now = 0;
  let asked = 0;
  let settle: { resolve: () => void; reject: (error: Error) => void } = {
    resolve: () => {},
    reject: () => {},
  };
  const changes: string[] = [];
  const heartbeat = createHeartbeat(
    {
      ping: () => {
        asked++;
        return new Promise<void>((resolve, reject) => {
          settle = { resolve, reject };
        });
      },
      onChange: (change, silentMs, refusal) => changes.push(`${change} ${silentMs}${refusal}`),
    },
    () => now,
  );
  return {
    heartbeat,
    changes,
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
    const { heartbeat, changes, beatAfter, end } = setUp();
    for (let i = 0; i < 5; i++) {
      beatAfter(2_000);
      await end('resolve');
    }
    expect(heartbeat.answeringSinceMs).toBe(0);
    expect(changes).toEqual([]);
  });

  it('reports once that Redis is silent, sends nothing meanwhile, and reports once that it answers', async () => {
    const { heartbeat, changes, asked, beatAfter, end } = setUp();
    for (let i = 0; i < 10; i++) beatAfter(2_000);
    expect(asked()).toBe(1);
    expect(heartbeat.answeringSinceMs).toBeNull();
    expect(changes).toEqual(['silent 4000']);
    await end('resolve');
    expect(heartbeat.answeringSinceMs).toBe(20_000);
    expect(changes).toEqual(['silent 4000', 'answers 18000']);
  });

  it('takes a broken connection for silence, and asks again', async () => {
    const { heartbeat, changes, beatAfter, end } = setUp();
    beatAfter(2_000);
    await end('reject');
    expect(heartbeat.answeringSinceMs).toBeNull();
    beatAfter(2_000);
    await end('resolve');
    expect(heartbeat.answeringSinceMs).toBe(4_000);
    expect(changes).toHaveLength(2);
  });

  it('counts the silence from the first question without an answer', async () => {
    const { changes, beatAfter, end } = setUp();
    for (let i = 0; i < 3; i++) {
      beatAfter(2_000);
      await end('reject');
    }
    beatAfter(2_000);
    await end('resolve');
    expect(changes).toEqual(['silent 0', 'answers 6000']);
  });

  it('reports once that Redis refuses, and why; a silence after that is not reported', async () => {
    const { heartbeat, changes, beatAfter, end } = setUp();
    for (const how of ['refuse', 'refuse', 'reject', 'refuse'] as const) {
      beatAfter(2_000);
      await end(how);
    }
    expect(heartbeat.answeringSinceMs).toBeNull();
    expect(changes).toEqual(['refuses 0 READONLY']);
    beatAfter(2_000);
    await end('resolve');
    expect(changes.slice(1)).toEqual(['answers 8000']);
  });

  it('does not count the time in which the process slept as a silence of Redis', async () => {
    const { heartbeat, changes, beatAfter, sleep } = setUp();
    beatAfter(2_000);
    sleep(3_600_000);
    expect(heartbeat.awakeSinceMs).toBe(3_602_000);
    beatAfter(2_000);
    expect(changes).toEqual([]);
    beatAfter(2_000);
    expect(changes).toEqual(['silent 4000']);
  });

  it('notices its sleep at the next beat, if no one asked before', () => {
    const { heartbeat, changes, beatAfter } = setUp();
    beatAfter(2_000);
    beatAfter(3_600_000);
    expect(changes).toEqual([]);
    expect(heartbeat.awakeSinceMs).toBe(3_602_000);
  });
});
