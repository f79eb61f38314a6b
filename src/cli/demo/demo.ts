import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { CliError, EXIT } from '../fail.ts';
import { numberFrom } from '../option.ts';
import { startProgress } from '../progress.ts';
import { onInterrupt } from '../terminal.ts';
import { play } from './play.ts';
import { Stage } from './stage.ts';

const MAX_SIGNUPS = 500_000;
const LINE_EVERY_MS = 2_000;
const CAUSE_WITHIN_MS = 1_000;

const HELP = `
Needs no settings and uses none of yours. It starts its own Redis, simulated API and two workers on free loopback
ports, with a folder in the system's temporary folder, and removes all of it at the end.
redis-server is taken from the PATH. If it is not there, root on Debian or Ubuntu gets it installed with apt-get.

--outbox also starts a PostgreSQL, whose programs must be installed. Each signup is a transaction there.

Exit codes: 0 all signups are accounted for, 1 some are not (then the logs are kept), 3 redis-server or PostgreSQL is missing.`;

export function demoCommand(): Command {
  return new Command('demo')
    .description('show the worker with thousands of signups and some faults, all on this machine')
    .option('--keep', 'keep everything running at the end, until Ctrl-C')
    .option('--outbox', 'write the signups into a PostgreSQL of its own; a relay brings them to Redis')
    .option('--signups <number>', 'number of users that sign up', numberFrom(1, MAX_SIGNUPS), 20_000)
    .addHelpText('after', HELP)
    .action(
      async ({
        keep = false,
        outbox = false,
        signups,
      }: {
        keep?: boolean;
        outbox?: boolean;
        signups: number;
      }) => {
        const stage = new Stage();
        const { signal } = stage.over;
        const aborted = once(signal, 'abort').then((): never => {
          throw signal.reason;
        });
        // At the end it rejects while nothing waits for it.
        aborted.catch(() => undefined);
        const interruption = onInterrupt(() => stage.over.abort(new CliError(EXIT.failed, STOPPED)));
        const abandon = (): void => stage.abandon();
        process.on('exit', abandon);
        const progress = startProgress(LINE_EVERY_MS, process.stdout);
        let keepFolder = false;
        try {
          const balanced = await Promise.race([play(stage, { signups, keep, outbox }, progress), aborted]);
          if (keep) {
            await aborted.catch((error: unknown) => {
              // Ctrl-C is the normal end of --keep.
              if (interruption.exitCode === undefined) throw error;
            });
            process.stdout.write('Stopping, and removing everything that was started.\n');
          }
          if (!balanced) throw new Error('The totals do not balance: see the lines marked ✗ above.');
        } catch (error) {
          progress.end();
          if (error instanceof CliError && error.exitCode === EXIT.outOfReach) throw error;
          // A child process that ends breaks the step that uses it, and may be seen to end only later.
          await sleep(CAUSE_WITHIN_MS, undefined, { signal }).catch(() => undefined);
          const cause = signal.reason ?? error;
          if (interruption.exitCode !== undefined) throw cause;
          keepFolder = true;
          throw new CliError(EXIT.failed, `${cause.message}\nThe logs are kept in ${stage.folder}`);
        } finally {
          await stage.close(keepFolder);
          process.off('exit', abandon);
        }
      },
    );
}

const STOPPED = 'The demo was stopped before its end. Everything that it started was removed.';
