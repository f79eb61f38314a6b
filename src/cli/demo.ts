import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { DemoError } from '../demo/child.ts';
import { playDemo } from '../demo/demo.ts';
import { createOutput } from '../demo/progress.ts';
import { Stage } from '../demo/stage.ts';
import { readTextFile } from './context.ts';
import { CliError, EXIT } from './fail.ts';

interface Flags {
  readonly keep?: boolean;
  readonly signups: number;
}

const MAX_SIGNUPS = 500_000;
const CAUSE_WITHIN_MS = 1_000;

const HELP = `
Needs no settings and uses none of yours. It starts its own Redis, simulated API and two workers on free loopback
ports, with a folder in the system's temporary folder, and removes all of it at the end.
redis-server is taken from the PATH. If it is not there, root on Debian or Ubuntu gets it installed with apt-get.

Exit codes: 0 all signups are accounted for, 1 some are not (then the logs are kept), 3 redis-server is missing.`;

export function demoCommand(): Command {
  return new Command('demo')
    .description('show the worker with thousands of signups and some faults, all on this machine')
    .option('--keep', 'keep everything running at the end, until Ctrl-C')
    .option('--signups <number>', 'number of users that sign up', signupCount, 20_000)
    .addHelpText('after', HELP)
    .action(async ({ keep = false, signups }: Flags) => {
      const output = createOutput(process.stdout);
      const stage = new Stage();
      const leave = (): void => stage.abandon();
      process.on('exit', leave);
      const interruption = interruptible();
      const { signal } = interruption;
      let keepFolder = false;
      try {
        const played = playDemo({ signups, keep, output, stage, readFile: readTextFile, signal });
        const balanced = await Promise.race([stage.broken, played, interruption.interrupted]).catch(
          (error: unknown) => likelyCause(error, stage),
        );
        if (keep) {
          await Promise.race([stage.broken, interruption.interrupted]).catch((error: unknown) => {
            // Ctrl-C is the normal end of --keep.
            if (!(error instanceof Interrupted)) throw error;
          });
          output.line('Stopping, and removing everything that was started.');
        }
        if (!balanced) throw new DemoError('The totals do not balance: see the lines marked ✗ above.');
      } catch (error) {
        output.block([]);
        if (error instanceof Interrupted)
          throw new CliError(
            EXIT.failed,
            'The demo was stopped before its end. Everything that it started was removed.',
          );
        if (error instanceof DemoError && error.outOfReach)
          throw new CliError(EXIT.outOfReach, error.message);
        keepFolder = true;
        throw new CliError(EXIT.failed, `${(error as Error).message}\nThe logs are kept in ${stage.folder}`);
      } finally {
        // This ends what still runs, such as signups after a worker died.
        interruption.interrupt();
        await stage.close(keepFolder);
        process.off('exit', leave);
      }
    });
}

class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** The first signal ends the demo in order, the second at once. The exit handler then kills all children. */
function interruptible(): { signal: AbortSignal; interrupted: Promise<never>; interrupt: () => void } {
  const controller = new AbortController();
  const { signal } = controller;
  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
  const interrupt = (): void => controller.abort(new Interrupted());
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => (signal.aborted ? process.exit(EXIT.failed) : interrupt()));
  return { signal, interrupted, interrupt };
}

/** A child process that dies also breaks the step that uses it. Waits for the cause, which may come later. */
async function likelyCause(error: unknown, stage: Stage): Promise<never> {
  const isCertain = error instanceof Interrupted || (error instanceof DemoError && error.outOfReach);
  if (!isCertain) await Promise.race([stage.broken, sleep(CAUSE_WITHIN_MS)]);
  throw error;
}

function signupCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > MAX_SIGNUPS) {
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${MAX_SIGNUPS}.`);
  }
  return value;
}
