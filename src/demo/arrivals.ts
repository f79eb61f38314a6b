import { setTimeout as sleep } from 'node:timers/promises';
import { toFields } from '../event/fields.ts';
import type { UserCreatedProducer } from '../producer/producer.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { DemoError } from './demo-error.ts';
import type { PlannedSignup } from './plan.ts';

const TICK_MS = 50;

/**
 * Lets the signups arrive evenly over `arrivalMs`: through the producer, or by a bare XADD as any Redis client
 * can. `onArrived` hears how many there are. Rejects with a DemoError when one was not taken, or on `signal`.
 */
export async function pushSignups(options: {
  readonly signups: readonly PlannedSignup[];
  readonly arrivalMs: number;
  readonly producer: UserCreatedProducer;
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly signal: AbortSignal;
  readonly onArrived: (count: number) => void;
}): Promise<void> {
  const { signups, arrivalMs, producer, redis, keys, signal, onArrived } = options;
  const startedMs = performance.now();
  let arrived = 0;
  while (arrived < signups.length) {
    const share = Math.min(1, (performance.now() - startedMs + TICK_MS) / arrivalMs);
    const due = signups.slice(arrived, Math.ceil(share * signups.length));
    const checked = due.filter((signup) => signup.checked).map(({ user }) => user);
    for (const accepted of await producer.addMany(checked)) {
      if (!accepted.ok) throw new DemoError(`A signup was not taken: ${accepted.error.message}`);
    }
    for (const { user } of due.filter((signup) => !signup.checked)) {
      await redis.xadd(keys.stream, '*', ...toFields(user));
    }
    arrived += due.length;
    onArrived(arrived);
    await sleep(TICK_MS, undefined, { signal });
  }
}
