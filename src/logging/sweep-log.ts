import type { Swept } from '../calls/sweep.ts';
import type { Logger } from './log.ts';

/** What goes on for long is not said at every sweep. */
const REPEAT_AFTER_MS = 60_000;

/** Says what sweeps find: a line for what was mended, and one a change for what cannot be. */
export function logSwept(log: Logger): (swept: Swept) => void {
  let foreignSaidAtMs = Number.NEGATIVE_INFINITY;
  let lastUnaccounted = 0;
  return ({ putBack, overdue, foreign, unaccounted }) => {
    if (putBack > 0) log.warn({ calls: putBack }, 'calls without a job were put back');
    if (overdue > 0)
      log.warn(
        { calls: overdue },
        "calls were put off for longer than they should be, and are brought forward: check the machines' clocks",
      );
    if (foreign > 0 && performance.now() - foreignSaidAtMs > REPEAT_AFTER_MS) {
      foreignSaidAtMs = performance.now();
      log.warn(
        { calls: foreign },
        'calls of another version or API form are left for a worker that makes them; start one if none runs',
      );
    }
    if (unaccounted !== 0 && unaccounted === lastUnaccounted)
      log.error(
        { events: unaccounted },
        'the books count other events in calls than the open calls hold: a bug, please report it',
      );
    lastUnaccounted = unaccounted;
  };
}
