import { setTimeout as sleep } from 'node:timers/promises';
import { type CrowdUser, userOf } from './crowd.ts';

/** When each event of a load was acknowledged, ms since 1970, by user. */
export type Acknowledged = ReadonlyMap<string, number>;

/**
 * Users at `perSecond` for `forMs`: evenly but for half a distance of jitter, each sent when its time comes;
 * what came due while a list was on its way goes in the next one. `send` resolves when its users are accepted.
 */
export async function produceSteadily(
  send: (users: readonly CrowdUser[]) => Promise<void>,
  prefix: string,
  perSecond: number,
  forMs: number,
): Promise<Acknowledged> {
  const count = Math.max(1, Math.round((perSecond * forMs) / 1000));
  const crowd = { prefix, count };
  const everyMs = 1000 / perSecond;
  const startMs = performance.now() + everyMs;
  const dueMs = Array.from({ length: count }, (_, i) => startMs + (i + 0.5 * Math.random()) * everyMs);
  const acknowledged = new Map<string, number>();
  for (let sent = 0; sent < count; ) {
    const waitMs = (dueMs[sent] ?? 0) - performance.now();
    if (waitMs > 0) {
      await sleep(waitMs);
      continue;
    }
    let to = sent + 1;
    while (to < count && (dueMs[to] ?? 0) <= performance.now()) to++;
    const users = Array.from({ length: to - sent }, (_, i) => userOf(crowd, sent + i));
    await send(users);
    const nowMs = performance.timeOrigin + performance.now();
    for (const { userId } of users) acknowledged.set(userId, nowMs);
    sent = to;
  }
  return acknowledged;
}
