import { createLogger } from '../../../src/logging/log.ts';
import { createRedisLog } from '../../../src/logging/redis-log.ts';

const { jest } = import.meta;

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

function setUp() {
  const lines: string[] = [];
  const destination = {
    write: (text: string) => {
      const { level, msg, ...fields } = JSON.parse(text) as Record<string, unknown>;
      const { time: _time, ...rest } = fields;
      lines.push(`${level} ${msg} ${JSON.stringify(rest)}`);
    },
  };
  const redisLog = createRedisLog(createLogger('info', {}, destination));
  return { redisLog, lines, pass: (ms: number) => jest.advanceTimersByTime(ms) };
}

const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED' });

describe('the log about Redis', () => {
  it('has two lines for an absence of an hour, whatever fails before, meanwhile and after', () => {
    const { redisLog, lines, pass } = setUp();
    const queue = redisLog.trouble('the call queue');
    queue(refused);
    pass(10);
    redisLog.connection({ state: 'lost', reason: 'the connection was closed' });
    for (let second = 0; second < 3_600; second++) {
      queue(refused);
      redisLog.trouble('cutting calls')(new Error('Connection is closed.'));
      redisLog.heartbeat('silent');
      pass(1_000);
    }
    redisLog.connection({ state: 'reachable' });
    redisLog.heartbeat('answers');
    queue(refused);
    pass(2_000);
    expect(lines).toEqual([
      'error Redis is lost; waiting for it {"reason":"the connection was closed"}',
      'info Redis is back {"awayMs":3600000}',
    ]);
  });

  it('has two lines for a Redis that hangs', () => {
    const { redisLog, lines, pass } = setUp();
    redisLog.heartbeat('silent');
    pass(5_000);
    redisLog.heartbeat('answers');
    expect(lines).toEqual([
      'error Redis is lost; waiting for it {"reason":"it does not answer, though its connection stands"}',
      'info Redis is back {"awayMs":5000}',
    ]);
  });

  it('after a loss waits for an answer, not for the connection alone', () => {
    const { redisLog, lines } = setUp();
    redisLog.heartbeat('silent');
    redisLog.connection({ state: 'lost', reason: 'reset' });
    redisLog.connection({ state: 'reachable' });
    expect(lines).toHaveLength(1);
    redisLog.heartbeat('answers');
    expect(lines).toHaveLength(2);
  });

  const toReplica = {
    state: 'lost',
    reason: "READONLY You can't write against a read only replica.",
  } as const;
  const refuses =
    'error Redis refuses to work: it is a replica and takes no writes (see where the Redis settings lead); ' +
    `waiting for it ${JSON.stringify({ reason: toReplica.reason })}`;

  it.each([
    ['the connection notices first', 1_000],
    ['the heartbeat notices first', 0],
  ])('has two lines for a replica, however often the connection is made again: %s', (_, noticedAfterMs) => {
    const { redisLog, lines, pass } = setUp();
    if (noticedAfterMs === 0) redisLog.heartbeat('refuses', toReplica.reason);
    for (let look = 0; look < 10; look++) {
      redisLog.connection(toReplica);
      pass(20);
      redisLog.connection({ state: 'reachable' });
      pass(noticedAfterMs);
      if (look === 0 && noticedAfterMs > 0) redisLog.heartbeat('refuses', toReplica.reason);
      pass(6_000);
    }
    expect(lines).toEqual([refuses]);
    redisLog.heartbeat('answers');
    pass(6_000);
    expect(lines).toEqual([refuses, expect.stringContaining('info Redis is back')]);
  });

  it('has two lines for a failover between two heartbeats', () => {
    const { redisLog, lines, pass } = setUp();
    redisLog.connection(toReplica);
    pass(20);
    redisLog.connection({ state: 'reachable' });
    pass(1_900);
    expect(lines).toEqual([refuses]);
    redisLog.heartbeat('answers');
    expect(lines).toEqual([refuses, 'info Redis is back {"awayMs":20}']);
  });

  it('names on return the reason of a second loss', () => {
    const { redisLog, lines, pass } = setUp();
    redisLog.connection(toReplica);
    redisLog.connection({ state: 'reachable' });
    pass(1_000);
    redisLog.connection({ state: 'lost', reason: 'the connection was closed' });
    pass(10_000);
    expect(lines).toEqual([refuses]);
    redisLog.connection({ state: 'reachable' });
    redisLog.heartbeat('answers');
    expect(lines).toEqual([
      refuses,
      'info Redis is back {"awayMs":11000,"connection":"the connection was closed"}',
    ]);
  });

  it('shows an error with another cause, and repeats it once a minute', () => {
    const { redisLog, lines, pass } = setUp();
    const queue = redisLog.trouble('the call queue');
    for (let i = 0; i < 14_000; i++) queue(new Error('OOM command not allowed'));
    expect(lines).toHaveLength(1);
    pass(60_000);
    queue(new Error('OOM command not allowed'));
    expect(lines[1]).toBe(
      'error the call queue met an error and goes on {"reason":"OOM command not allowed","unsaid":13999}',
    );
  });

  it('shows another error of the same loop after five seconds', () => {
    const { redisLog, lines, pass } = setUp();
    const queue = redisLog.trouble('the call queue');
    queue(new Error('OOM command not allowed'));
    queue(new Error('WRONGTYPE'));
    pass(4_999);
    queue(new Error('WRONGTYPE'));
    expect(lines).toHaveLength(1);
    pass(1);
    queue(new Error('WRONGTYPE'));
    expect(lines[1]).toContain('"reason":"WRONGTYPE","unsaid":2');
  });

  it('takes an error that tells another pause for the same one', () => {
    const { redisLog, lines, pass } = setUp();
    const queue = redisLog.trouble('the call queue');
    for (let ms = 10; ms < 10_000; ms *= 2) {
      queue(new Error(`All sentinels are unreachable. Retrying from scratch after ${ms}ms.`));
      pass(5_000);
    }
    expect(lines).toHaveLength(1);
  });

  it('hides errors in the five seconds after a return', () => {
    const { redisLog, lines, pass } = setUp();
    redisLog.connection({ state: 'lost', reason: 'reset' });
    redisLog.connection({ state: 'reachable' });
    redisLog.heartbeat('answers');
    pass(4_999);
    redisLog.trouble('the call queue')(new Error('Command timed out'));
    expect(lines).toHaveLength(2);
    pass(1);
    redisLog.trouble('the call queue')(new Error('Command timed out'));
    expect(lines).toHaveLength(3);
  });

  it('has one line when Redis refuses, whatever its connections do', () => {
    const { redisLog, lines, pass } = setUp();
    const readonly = new Error("READONLY You can't write against a read only replica.");
    const cut = redisLog.trouble('cutting calls');
    cut(readonly);
    pass(2_000);
    redisLog.heartbeat('refuses', readonly.message);
    for (let second = 0; second < 3_600; second++) {
      cut(readonly);
      redisLog.connection({ state: 'lost', reason: 'the connection was closed' });
      redisLog.connection({ state: 'reachable' });
      redisLog.heartbeat(second % 2 === 0 ? 'silent' : 'refuses', readonly.message);
      pass(1_000);
    }
    redisLog.heartbeat('answers');
    expect(lines).toEqual([
      expect.stringMatching(/^error Redis refuses to work: it is a replica and takes no writes/),
      'info Redis is back {"awayMs":3600000,"connection":"the connection was closed"}',
    ]);
  });

  it('has one line when Redis comes back without our database, and one when it is back with it', () => {
    const { redisLog, lines, pass } = setUp();
    const noDatabase =
      'database 3 cannot be used, Redis says "NOPERM no permissions"; give its user the right +select';
    redisLog.connection({ state: 'lost', reason: 'the connection was closed' });
    pass(1_000);
    redisLog.connection({ state: 'lost', reason: noDatabase });
    for (let second = 0; second < 60; second++) {
      redisLog.trouble('the call worker')(new Error(noDatabase));
      redisLog.heartbeat('silent');
      pass(1_000);
    }
    expect(lines).toEqual([
      'error Redis is lost; waiting for it {"reason":"the connection was closed"}',
      `error Redis refuses to work: it does not give the database that was asked for (the reason says why); waiting for it ${JSON.stringify({ reason: noDatabase })}`,
    ]);
    redisLog.connection({ state: 'reachable' });
    redisLog.heartbeat('answers');
    expect(lines.slice(2)).toEqual([expect.stringMatching(/^info Redis is back /)]);
  });

  it('shows that one connection fails while Redis is there, after three seconds', () => {
    const { redisLog, lines, pass } = setUp();
    redisLog.trouble('the call worker')(refused);
    expect(lines).toEqual([]);
    pass(3_000);
    expect(lines).toHaveLength(1);
  });

  it('is silent once the process stops', () => {
    const { redisLog, lines } = setUp();
    redisLog.close();
    redisLog.connection({ state: 'lost', reason: 'closed' });
    redisLog.trouble('the call queue')(new Error('any'));
    expect(lines).toEqual([]);
  });
});
