import { performance } from 'node:perf_hooks';
import { waitUntil } from '../../src/lifecycle/wait.ts';
import { MAX_LATE_MS } from '../../src/pace/budget.ts';

/**
 * The floor of missed slots: a process that has nothing to do but be there at its slots. Counts those at which it is too
 * late for a call, and says so at every message.
 */
const SPACING_MS = 1_000 / 99;
let slots = 0;
let late = 0;
process.on('message', () => {
  process.send?.({ slots, late });
  slots = 0;
  late = 0;
});
process.on('disconnect', () => process.exit(0));
for (let atMs = performance.now() + SPACING_MS; ; atMs += SPACING_MS) {
  await waitUntil(atMs);
  const lateMs = performance.now() - atMs;
  slots += 1;
  if (lateMs > MAX_LATE_MS) late += 1;
  // What passed while it slept would count one stall many times; a worker makes up for those, too.
  if (lateMs > SPACING_MS) atMs += Math.floor(lateMs / SPACING_MS) * SPACING_MS;
}
