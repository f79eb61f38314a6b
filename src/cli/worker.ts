import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { Command } from 'commander';
import { refuseOn } from '../config/config.ts';
import { readReceivers } from '../config/receivers.ts';
import { requireForWorker } from '../config/requirements.ts';
import { readSecrets } from '../config/secrets.ts';
import { createStandardLog } from '../logging/log.ts';
import { tracingProblems, wantsTraces } from '../tracing/start-tracing.ts';
import { OutOfReachError } from '../worker/connections.ts';
import { startWorker } from '../worker.ts';
import { loadForCommand, readTextFile } from './context.ts';
import { CliError, EXIT } from './fail.ts';

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
      const { config, origins } = loadForCommand(command);
      requireForWorker(config);
      readSecrets(config, readTextFile);
      refuseOn(tracingProblems(process.env));
      readReceivers(config, readTextFile);
      const version = command.parent?.version() ?? '';
      const isTraced = wantsTraces(process.env);
      const { log, droppedLines } = createStandardLog(config.log.level, { pid: process.pid }, isTraced);
      // The log handles its own errors. Other output may be lost; it must not end the worker.
      process.stdout.removeAllListeners('error').on('error', () => undefined);
      const signalled = firstSignal();
      const starting = startWorker({
        ...{ config, origins, readFile: readTextFile, version, log, droppedLines },
        env: process.env,
      });
      // A worker that is stopped while it waits for Redis has nothing to finish, so it does not wait longer.
      const stoppedEarly = signalled.then(() => sleep(START_GRACE_MS));
      const worker = await Promise.race([starting, stoppedEarly]).catch((error: unknown) => {
        if (error instanceof OutOfReachError) throw new CliError(EXIT.outOfReach, error.message);
        throw error;
      });
      if (worker === undefined) {
        log.info(
          { signal: await signalled },
          'signal received before the start was complete; no work was begun',
        );
        process.exit(EXIT.done);
      }
      const signal = await signalled;
      log.info({ signal }, 'signal received');
      for (const again of ['SIGTERM', 'SIGINT']) process.once(again, () => process.exit(EXIT.failed));
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

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
    // SIGHUP stays caught: a terminal that is closed sends it twice, and the second must not end the worker.
    process.on('SIGHUP', resolve);
  });
}

/**
 * A record waits up to two seconds for its slot, so it outlives V8's young generation and fills the old one.
 * V8 lets the old generation grow to several times the live memory before it collects it. With a collection
 * after growth by half, a worker stays at about 140 MB whatever waits, and no cost in CPU could be measured
 * (docs/decisions/0092).
 */
const GROWTH_PERCENT = 50;

/**
 * V8 reads this flag again after every collection, so it may be set at run time. An operator's own value on
 * Node's command line is kept (NODE_OPTIONS does not accept this flag). V8 cannot be asked which flags it
 * knows: a version without this flag prints that on standard error and continues.
 */
export function keepHeapSmall(): void {
  if (!process.execArgv.some((flag) => /^--heap[-_]growing[-_]percent=/.test(flag)))
    setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
