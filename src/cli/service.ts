import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../logging/log.ts';
import { OutOfReachError } from '../worker/connections.ts';
import { CliError, EXIT } from './fail.ts';

/** A start that is nearly complete may end normally within this time. */
const START_GRACE_MS = 1_000;

/**
 * Starts a process that works until SIGTERM, SIGINT or SIGHUP, and stops it in order then. Ends the process.
 * Rejects when it cannot start; a dependency that is out of reach is a CliError.
 */
export async function runService(
  start: () => Promise<{ stop(): Promise<void> }>,
  { log, shutdownTimeoutMs }: { readonly log: Logger; readonly shutdownTimeoutMs: number },
): Promise<never> {
  // The log handles its own errors. Other output may be lost; it must not end the process.
  process.stdout.removeAllListeners('error').on('error', () => undefined);
  const signalled = firstSignal();
  // A process that is stopped while it waits for Redis has nothing to finish, so it does not wait longer.
  const stoppedEarly = signalled.then(() => sleep(START_GRACE_MS));
  const running = await Promise.race([start(), stoppedEarly]).catch((error: unknown) => {
    if (error instanceof OutOfReachError) throw new CliError(EXIT.outOfReach, error.message);
    throw error;
  });
  if (running === undefined) {
    log.info({ signal: await signalled }, 'signal received before the start was complete; no work was begun');
    process.exit(EXIT.done);
  }
  const signal = await signalled;
  log.info({ signal }, 'signal received');
  for (const again of ['SIGTERM', 'SIGINT']) process.once(again, () => process.exit(EXIT.failed));
  const deadline = setTimeout(() => {
    log.error(
      { timeoutMs: shutdownTimeoutMs },
      'not everything could be closed in time; ending anyway. Nothing is lost: other workers take over',
    );
    process.exit(EXIT.done);
  }, shutdownTimeoutMs - 250);
  await running.stop();
  clearTimeout(deadline);
  // All work is done. A handle that is still open must not keep the process.
  process.exit(EXIT.done);
}

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
    // SIGHUP stays caught: a terminal that is closed sends it twice, and the second must not end the worker.
    process.on('SIGHUP', resolve);
  });
}
