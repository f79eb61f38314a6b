import { Command } from 'commander';
import { requireForWorker } from '../config/requirements.ts';
import { readSecrets } from '../config/secrets.ts';
import { createStandardLog, type Logger } from '../logging/log.ts';
import { OutOfReachError, UnfitError } from '../worker/start-errors.ts';
import { startWorker } from '../worker.ts';
import { CliError, EXIT } from './fail.ts';
import { loadForCommand, readTextFile } from './load-config.ts';
import { keepHeapSmall } from './small-heap.ts';
import { packageVersion } from './version.ts';

/** A start that is nearly over is let to its end. */
const START_GRACE_MS = 1_000;

const HELP = `
Runs until SIGTERM, SIGINT or SIGHUP: then it finishes the calls on the wire, leaves the rest to other workers, and ends
within IMSYNC_SHUTDOWN_TIMEOUT_MS. SIGTERM or SIGINT once more ends it at once; nothing is lost either way.

Run as many as you like, on one machine or on many: they share the quota.

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
      // The log sees to itself. What a library says there may be lost, and ends no worker.
      process.stdout.removeAllListeners('error').on('error', () => undefined);
      // BreakerVerdict from the start: a worker that is told to stop while it starts, stops as soon as it has.
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
          'not everything could be closed in time; ending all the same. Nothing is lost: other workers take over',
        );
        process.exit(EXIT.done);
      }, config.shutdownTimeoutMs - 250);
      await worker.stop();
      clearTimeout(deadline);
      // Nothing is left to do; a stray handle must not keep the process.
      process.exit(EXIT.done);
    });
}

/** Told to stop while it waits for Redis, it has nothing to finish: it does not wait to the end. */
async function endIfStuckAtStart(
  signalled: Promise<NodeJS.Signals>,
  isStarted: () => boolean,
  log: Logger,
): Promise<void> {
  const signal = await signalled;
  if (isStarted()) return;
  setTimeout(() => {
    if (isStarted()) return;
    log.info({ signal }, 'signal received before the start was over; nothing was begun');
    process.exit(EXIT.done);
  }, START_GRACE_MS).unref();
}

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
    // BreakerVerdict for ever: a terminal that is closed sends it twice, which is nobody's wish for a faster end.
    process.on('SIGHUP', resolve);
  });
}
