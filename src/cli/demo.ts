import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { DemoError } from '../demo/child.ts';
import { playDemo } from '../demo/demo.ts';
import { createOutput } from '../demo/progress.ts';
import { Stage } from '../demo/stage.ts';
import { CliError, EXIT } from './fail.ts';
import { readTextFile } from './load-config.ts';

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
      const interrupted = new AbortController();
      const stage = new Stage();
      const release = stopOnSignals(interrupted, stage);
      let keepFolder = false;
      try {
        const { signal } = interrupted;
        const played = playDemo({ signups, keep, output, stage, readFile: readTextFile, signal });
        const balanced = await firstOf(stage.broken, played, aborted(signal)).catch((error: unknown) =>
          likelyCause(error, stage),
        );
        if (keep) {
          await firstOf(stage.broken, aborted(signal)).catch(rethrowUnlessInterrupted);
          output.line('Stopping, and removing everything that was started.');
        }
        if (!balanced) throw new DemoError('The totals do not balance: see the lines marked ✗ above.');
      } catch (error) {
        output.block([]);
        if (error instanceof Interrupted) {
          throw new CliError(
            EXIT.failed,
            'The demo was stopped before its end. Everything that it started was removed.',
          );
        }
        if (error instanceof DemoError && error.outOfReach)
          throw new CliError(EXIT.outOfReach, error.message);
        keepFolder = true;
        throw new CliError(EXIT.failed, `${(error as Error).message}\nThe logs are kept in ${stage.folder}`);
      } finally {
        // This ends what still runs, such as signups after a worker died.
        interrupted.abort(new Interrupted());
        await stage.close(keepFolder);
        release();
      }
    });
}

/** Ctrl-C was pressed, or the reader of the output has gone. */
class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/**
 * The first signal ends the demo in order, the second one at once. A broken pipe counts as a signal. No child
 * process outlives this one in any case.
 */
function stopOnSignals(interrupted: AbortController, stage: Stage): () => void {
  const stop = (): void => {
    if (interrupted.signal.aborted) process.exit(EXIT.failed);
    interrupted.abort(new Interrupted());
  };
  const brokenPipe = (): void => {
    if (!interrupted.signal.aborted) interrupted.abort(new Interrupted());
  };
  const leave = (): void => stage.abandon();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, stop);
  process.stdout.on('error', brokenPipe);
  process.on('exit', leave);
  return () => {
    for (const signal of signals) process.off(signal, stop);
    process.off('exit', leave);
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const tell = (): void => reject(signal.reason);
    if (signal.aborted) tell();
    else signal.addEventListener('abort', tell, { once: true });
  });
}

/** Settles as the first promise does. Later rejections of the others are ignored. */
function firstOf<T>(...promises: readonly Promise<T>[]): Promise<Awaited<T>> {
  for (const promise of promises) promise.catch(() => undefined);
  return Promise.race(promises);
}

/**
 * A child process that dies also breaks the step that uses it. This waits for the cause, which may come
 * later.
 */
async function likelyCause(error: unknown, stage: Stage): Promise<never> {
  const certain = error instanceof Interrupted || (error instanceof DemoError && error.outOfReach);
  if (!certain) {
    await firstOf(stage.broken, sleep(CAUSE_WITHIN_MS));
  }
  throw error;
}

/** Ctrl-C is the normal end of `--keep`. */
function rethrowUnlessInterrupted(error: unknown): void {
  if (!(error instanceof Interrupted)) throw error;
}

function signupCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > MAX_SIGNUPS) {
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${MAX_SIGNUPS}.`);
  }
  return value;
}
