import { Command } from 'commander';
import { requireForWorker } from '../config/requirements.ts';
import { readSecrets } from '../config/secrets.ts';
import { createStandardLog, type Logger } from '../logging/log.ts';
import { OutOfReachError, UnfitError } from '../worker/connections.ts';
import { startWorker } from '../worker.ts';
import { CliError, EXIT } from './fail.ts';
import { loadForCommand, readTextFile } from './load-config.ts';
import { keepHeapSmall } from './small-heap.ts';
import { packageVersion } from './version.ts';

/** A start that is nearly complete may end normally within this time. */
const START_GRACE_MS = 1_000;

const HELP = `
Runs until SIGTERM, SIGINT or SIGHUP. Then it finishes the calls on the wire, leaves the rest to other workers, and ends
within IMSYNC_SHUTDOWN_TIMEOUT_MS. A second SIGTERM or SIGINT ends it at once. Nothing is lost either way.

Run any number of workers, on one machine or on several: they share the quota.

Example:
  IMSYNC_SDK_APP_ID=1400000000 IMSYNC_SDK_SECRET_KEY_FILE=/run/secrets/key imsync worker`;

export function workerCommand(): Command {
  return new Command('worker')
    .description('import accounts: turn waiting events into API calls')
    .addHelpText('after', HELP)
    .action(async (_options: unknown, command: Command) => {
      keepHeapSmall();
      const { config } = loadForCommand(command);
      requireForWorker(config);
      readSecrets(config, readTextFile);
      const version = packageVersion();
      const { log, droppedLines } = createStandardLog(config.log.level, { pid: process.pid });
      // The log handles its own errors. Other output on standard output may be lost; it must not end the
      // worker.
      process.stdout.removeAllListeners('error').on('error', () => undefined);
      // Signals are caught from the beginning: a worker that is stopped during its start stops right after
      // it.
      const signalled = firstSignal();
      let started = false;
      void endIfStuckAtStart(signalled, () => started, log);
      const worker = await startWorker({ config, readFile: readTextFile, version, log, droppedLines }).catch(
        (error: unknown) => {
          if (error instanceof OutOfReachError) throw new CliError(EXIT.outOfReach, error.message);
          if (error instanceof UnfitError) throw new CliError(EXIT.usage, error.problems.join('\n'));
          throw error;
        },
      );
      started = true;
      const signal = await signalled;
      log.info({ signal }, 'signal received');
      process.once('SIGTERM', () => process.exit(EXIT.failed));
      process.once('SIGINT', () => process.exit(EXIT.failed));
      const deadline = setTimeout(() => {
        log.error(
          { timeoutMs: config.shutdownTimeoutMs },
          'not everything could be closed in time; ending anyway. Nothing is lost: other workers take over',
        );
        process.exit(EXIT.done);
      }, config.shutdownTimeoutMs - 250);
      await worker.stop();
      clearTimeout(deadline);
      // All work is done. A handle that is still open must not keep the process.
      process.exit(EXIT.done);
    });
}

/**
 * A worker that is stopped while it waits for Redis has nothing to finish, so it ends without waiting longer.
 */
async function endIfStuckAtStart(
  signalled: Promise<NodeJS.Signals>,
  isStarted: () => boolean,
  log: Logger,
): Promise<void> {
  const signal = await signalled;
  if (isStarted()) return;
  setTimeout(() => {
    if (isStarted()) return;
    log.info({ signal }, 'signal received before the start was complete; no work was begun');
    process.exit(EXIT.done);
  }, START_GRACE_MS).unref();
}

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
    // SIGHUP stays caught: a terminal that is closed sends it twice, and the second one must not end the
    // worker at once.
    process.on('SIGHUP', resolve);
  });
}
