import { LISTENER_ASKS_EVERY_MS, reconnectWhenDemoted } from '../../../src/redis/connect.ts';
import { DEAD_AFTER_MS, type RedisSettings, redisOptions } from '../../../src/redis/options.ts';

const settings = (more: Partial<RedisSettings> = {}): RedisSettings => ({
  url: 'redis://127.0.0.1:6379',
  mode: 'standalone',
  nodes: [],
  sentinelName: '',
  password: '',
  ca: '',
  ...more,
});
const of = (more: Partial<RedisSettings> = {}) => redisOptions(settings(more), 'loop', 'test');

it('reads the address', () => {
  expect(of()).toMatchObject({ host: '127.0.0.1', port: 6379, db: 0, connectionName: 'imsync-test' });
  expect(of({ url: 'redis://redis.internal' })).toMatchObject({ host: 'redis.internal', port: 6379 });
  expect(of({ url: 'redis://[::1]:7000/3' })).toMatchObject({ host: '::1', port: 7000, db: 3 });
  expect(of()).not.toHaveProperty('tls');
  expect(of()).not.toHaveProperty('password');
  expect(of()).not.toHaveProperty('username');
});

it('reads a socket, a family and a user apart', () => {
  expect(of({ url: 'unix:///run/a%20b.sock?db=2' })).toMatchObject({ path: '/run/a b.sock', db: 2 });
  expect(of({ url: 'unix:///run/r.sock' })).not.toHaveProperty('host');
  // Both families, as Node connects to a name.
  expect(of()).toMatchObject({ family: 0 });
  expect(of({ url: 'redis://h?family=6' })).toMatchObject({ family: 6 });
  expect(of({ username: 'u' })).toMatchObject({ username: 'u' });
});

it('logs in with the password of the address or of the setting', () => {
  const url = 'redis://us%40er:p%2Fw@h:1';
  expect(of({ url })).toMatchObject({ username: 'us@er', password: 'p/w' });
  expect(of({ url, password: 'other' })).toMatchObject({ username: 'us@er', password: 'other' });
});

it("speaks TLS with the system's authorities or with the one given", () => {
  expect(of({ url: 'rediss://h' }).tls).toEqual({});
  expect(of({ url: 'rediss://h', ca: 'PEM' }).tls).toEqual({ ca: 'PEM' });
  expect(of({ ca: 'PEM' })).not.toHaveProperty('tls');
});

it('gives sentinels a login and TLS of their own, and the primary its TLS', () => {
  const nodes = [{ host: 's1', port: 26379 }];
  const own = {
    sentinelUsername: 'w',
    sentinelPassword: 'x',
    sentinelTls: true,
    cert: 'C',
    key: 'K',
    serverName: 'n',
  };
  const nodeMap = { '10.0.0.1:6379': { host: 'h', port: 7 } };
  const options = of({ url: 'rediss://h', mode: 'sentinel', nodes, sentinelName: 'main', nodeMap, ...own });
  expect(options).toMatchObject({
    sentinelUsername: 'w',
    sentinelPassword: 'x',
    enableTLSForSentinelMode: true,
    tls: { cert: 'C', key: 'K', servername: 'n' },
    sentinelTLS: { cert: 'C', key: 'K', servername: 'n' },
    natMap: nodeMap,
  });
  expect(of({ mode: 'sentinel', nodes, sentinelName: 'main' })).not.toHaveProperty('sentinelTLS');
});

it('asks the sentinels for the primary', () => {
  const nodes = [{ host: 's1', port: 26379 }];
  const options = of({ mode: 'sentinel', nodes, sentinelName: 'main', password: 'p' });
  expect(options).toMatchObject({ sentinels: nodes, name: 'main', password: 'p' });
  expect(options).not.toHaveProperty('host');
  expect(of({ url: 'redis://h/3', mode: 'sentinel', nodes, sentinelName: 'main' }).db).toBe(3);
});

it('a loop waits for Redis; a verb or a producer fails at once', () => {
  expect(of()).toMatchObject({ maxRetriesPerRequest: null });
  expect(of()).not.toHaveProperty('enableOfflineQueue');
  expect(redisOptions(settings(), 'oneshot', 'x')).toMatchObject({
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    commandTimeout: expect.any(Number),
  });
});

it('reconnects soon at first, then every two seconds without end', () => {
  const { retryStrategy } = of();
  expect([1, 2, 3, 5, 6, 100, 1e9].map((times) => retryStrategy?.(times))).toEqual([
    100, 200, 400, 1_600, 2_000, 2_000, 2_000,
  ]);
});

describe('a server that is a replica now', () => {
  const { jest } = import.meta;
  beforeEach(() => {
    jest.useFakeTimers({ now: 0 });
  });
  afterEach(() => {
    jest.useRealTimers();
  });
  const readonly = new Error("READONLY You can't write against a read only replica.");
  const asked = (role: 'loop' | 'oneshot') => reconnectWhenDemoted(role, () => undefined);

  it('is left for the primary; a loop sends its command again, a verb fails', () => {
    expect(asked('loop')(readonly)).toBe(2);
    expect(asked('oneshot')(readonly)).toBe(1);
    expect(asked('loop')(new Error('OOM command not allowed'))).toBe(false);
  });

  it('is left again after half a second, then at growing pauses up to half a minute', () => {
    const reconnects = asked('loop');
    const left: number[] = [];
    for (let atMs = 0; atMs < 200_000; atMs += 100) {
      if (reconnects(readonly) === 2) left.push(atMs / 1_000);
      jest.advanceTimersByTime(100);
    }
    expect(left).toEqual([0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5, 91.5, 121.5, 151.5, 181.5]);
    jest.advanceTimersByTime(120_000);
    expect(reconnects(readonly)).toBe(2);
    jest.advanceTimersByTime(500);
    expect(reconnects(readonly)).toBe(2);
  });
});

it('closing and silent sentinels have short time-outs', () => {
  expect(of().disconnectTimeout).toBeLessThanOrEqual(500);
  const sentinel = of({ mode: 'sentinel', nodes: [{ host: 's1', port: 26379 }], sentinelName: 'main' });
  expect(sentinel.sentinelCommandTimeout).toBeLessThanOrEqual(2_000);
});

it('a silent connection is closed after the longest block, and a listener pings before', () => {
  // BullMQ blocks for 10 s at most, whatever it waits for (test/redis/half-open.test.ts has the rest).
  expect(of().socketTimeout).toBe(DEAD_AFTER_MS);
  expect(DEAD_AFTER_MS).toBeGreaterThan(12_000);
  expect(DEAD_AFTER_MS).toBeLessThanOrEqual(15_000);
  expect(2 * LISTENER_ASKS_EVERY_MS).toBeLessThan(DEAD_AFTER_MS);
});
