import { setImmediate as turn } from 'node:timers/promises';

/** Longer work gives the event loop back this often: calls of this process have slots to keep. */
const LONGEST_MS = 2;

/** To be awaited between pieces of work: lets others have their turn when some time has passed since the last. */
export function createBreath(nowMs: () => number = () => performance.now()): () => Promise<void> | undefined {
  let sinceMs = nowMs();
  const take = async (): Promise<void> => {
    await turn();
    sinceMs = nowMs();
  };
  return () => (nowMs() - sinceMs < LONGEST_MS ? undefined : take());
}
