import { setFlagsFromString } from 'node:v8';
import { Command } from 'commander';
import { refuseOn } from '../config/config.ts';
import { readReceivers } from '../config/receivers.ts';
import { requireForWorker } from '../config/requirements.ts';
import { readSecrets } from '../config/secrets.ts';
import { createStandardLog } from '../logging/log.ts';
import { tracingProblems, wantsTraces } from '../tracing/start-tracing.ts';
import { startWorker } from '../worker.ts';
import { loadForCommand, readTextFile } from './context.ts';
import { runService } from './service.ts';

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
      await runService(
        () =>
          startWorker({
            ...{ config, origins, readFile: readTextFile, version, log, droppedLines },
            env: process.env,
          }),
        { log, shutdownTimeoutMs: config.shutdownTimeoutMs },
      );
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
