/**
 * Sees when jobs wait and nobody of this process fetches them, though it has nothing else to do. BullMQ's blocking
 * connection can get stuck for good when a cluster loses a node (one time in ten that its owner was killed, bullmq
 * 6.7): then its worker is made anew.
 */
const LOOK_EVERY_MS = 5_000;
/** Found so many times in a row: a fetch takes milliseconds. */
const LOOKS = 2;

export function startFetchWatch(options: {
  /** No run is at work, and none was begun since the last look. */
  readonly isIdle: () => boolean;
  /** Jobs that could run now. Rejects while Redis is away, which is no sign of anything. */
  readonly dueJobs: () => Promise<number>;
  readonly onStuck: () => void;
}): { close(): void } {
  let found = 0;
  let looking = false;
  const look = async (): Promise<void> => {
    looking = true;
    try {
      found = options.isIdle() && (await options.dueJobs()) > 0 ? found + 1 : 0;
      if (found < LOOKS) return;
      found = 0;
      options.onStuck();
    } catch {
      found = 0;
    } finally {
      looking = false;
    }
  };
  const timer = setInterval(() => {
    if (!looking) void look();
  }, LOOK_EVERY_MS);
  return { close: () => clearInterval(timer) };
}
