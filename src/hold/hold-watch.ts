import { listenOn, type RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';

/**
 * Knows the newest epoch of hold and pause that was heard of in this process, by the channel and by every
 * slot reply. A slot of an older epoch must not be used: the fleet was stopped after it was granted.
 *
 * A lost subscription costs little: slots are reserved for a few hundredths of a second at most, and the next
 * slot reply tells the epoch again.
 */
export type HoldWatch = Readonly<Omit<ReturnType<typeof createHoldWatch>, 'told'>>;

export async function watchHold(subscriber: RedisClient, keys: Keys): Promise<HoldWatch> {
  const watch = createHoldWatch(() => performance.now());
  subscriber.on('message', (channel: string, message: string) => {
    if (channel === keys.holdChannel) watch.told(message);
  });
  await listenOn(subscriber, keys.holdChannel);
  return watch;
}

/** The rule without the connection. */
export function createHoldWatch(nowMs: () => number) {
  let newest = 0;
  let heardAtMs = Number.NEGATIVE_INFINITY;
  const listeners: (() => void)[] = [];
  const notify = (): void => {
    for (const listener of listeners) listener();
  };
  const accept = (epoch: number): void => {
    newest = epoch;
    heardAtMs = nowMs();
    notify();
  };
  return {
    isCurrent: (epoch: string): boolean => Number(epoch) === newest,
    /** The channel said this epoch. */
    told(epoch: string): void {
      if (Number(epoch) > newest) accept(Number(epoch));
      // The same once more: a probe came back without proof, and the next one is free.
      else if (Number(epoch) === newest) notify();
    },
    /** A reply to a question asked at `askedAtMs` (`performance.now()`) told this epoch. */
    heardOf(epoch: string, askedAtMs: number): void {
      const number = Number(epoch);
      // A smaller epoch is a reply that crossed the news on its way, unless it was asked for after the news:
      // then Redis was emptied and counts from nothing again.
      if (number > newest || (number < newest && askedAtMs > heardAtMs)) accept(number);
    },
    /** Called at every change of the epoch, and when a probe came back without one. */
    onChange(listener: () => void): void {
      listeners.push(listener);
    },
  };
}
