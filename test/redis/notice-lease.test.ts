import { createLease } from '../../src/notices/lease.ts';
import { eventually } from '../support/eventually.ts';
import { useStages } from './stage.ts';

const fresh = useStages();

test('one process has the lease; when it dies, another one takes it with what was told', async () => {
  const { redis, keys } = fresh();
  const [first, second] = [createLease(redis, keys, 'one', 300), createLease(redis, keys, 'two', 300)];
  expect(await first.claim()).toMatchObject({
    isKept: false,
    stored: '',
    fleet: { hold: null, pause: null },
  });
  expect(await first.save('{"n":1}')).toBe(true);
  expect(await first.claim()).toMatchObject({ isKept: true });
  expect(await second.claim()).toBeUndefined();
  expect(await second.save('{"n":2}')).toBe(false);
  const taken = await eventually('the lease ends', () => second.claim());
  expect(taken).toMatchObject({ isKept: false, stored: '{"n":1}' });
  // The first one was only asleep.
  expect(await first.save('{"n":3}')).toBe(false);
  expect(await first.release('{"n":3}')).toBe(false);
  expect(await first.claim()).toBeUndefined();
  expect(await redis.hget(keys.notices, 'state')).toBe('{"n":1}');
});

test('a lease that ran out is kept if nobody took it, and one that is given back is free at once', async () => {
  const { redis, keys } = fresh();
  const [first, second] = [createLease(redis, keys, 'one', 1), createLease(redis, keys, 'two', 10_000)];
  await first.claim();
  await eventually('it has run out', async () => {
    const [seconds, micros] = (await redis.call('TIME')) as [string, string];
    const nowMs = Number(seconds) * 1_000 + Number(micros) / 1_000;
    return nowMs > Number(await redis.hget(keys.notices, 'until'));
  });
  expect(await first.save('{}')).toBe(true);
  expect(await first.claim()).toMatchObject({ isKept: true });
  await eventually('it has run out', () => second.claim());
  expect(await first.claim()).toBeUndefined();
  expect(await second.release('{"last":1}')).toBe(true);
  expect(await first.claim()).toMatchObject({ isKept: false, stored: '{"last":1}' });
});

test("a lease of before Redis's clock was set back holds nobody up, and what another version has told counts as nothing", async () => {
  const { redis, keys } = fresh();
  const lease = createLease(redis, keys, 'one', 10_000);
  const far = String(Date.now() + 3_600_000);
  await redis.hset(keys.notices, { sender: 'other', until: far, format: '1', state: '{"a":1}' });
  expect(await lease.claim()).toMatchObject({ isKept: false, stored: '{"a":1}' });
  await redis.hset(keys.notices, { sender: 'other', until: '0', format: '2', state: '{"b":1}' });
  expect(await lease.claim()).toMatchObject({ stored: '' });
  expect(await redis.pttl(keys.notices)).toBeGreaterThan(29 * 86_400_000);
});

test('a full Redis takes all of it', async () => {
  const { redis, keys } = fresh();
  const lease = createLease(redis, keys, 'one', 10_000);
  await redis.config('SET', 'maxmemory', '1');
  try {
    await expect(redis.set('ballast', 'x')).rejects.toThrow('OOM');
    expect(await lease.claim()).toMatchObject({ isKept: false });
    expect(await lease.save('{"n":1}')).toBe(true);
    expect(await lease.release('{"n":2}')).toBe(true);
    expect(await redis.hget(keys.notices, 'state')).toBe('{"n":2}');
  } finally {
    await redis.config('SET', 'maxmemory', '0');
  }
});
