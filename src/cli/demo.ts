import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { playDemo } from '../demo/demo.ts';
import { createOutput, DemoError } from '../demo/output.ts';
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
Needs no settings and touches none of yours: it starts a Redis, a simulated API and two workers of its own on free
loopback ports, with a folder in the system's temporary one, and removes all of it at the end.
redis-server is taken from the PATH; without one it is installed with apt-get, as root on Debian or Ubuntu.

Exit codes: 0 all signups are accounted for, 1 they are not (the logs are kept then), 3 redis-server is missing.`;

export function demoCommand(): Command {
  return new Command('demo')
    .description('see it work: thousands of signups and some trouble, all on this machine')
    .option('--keep', 'leave everything running at the end, until Ctrl-C')
    .option('--signups <number>', 'how many users sign up', signupCount, 20_000)
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
          output.line('Stopping, and removing all of it.');
        }
        if (!balanced) throw new DemoError('The books do not balance: see the lines marked ✗ above.');
      } catch (error) {
        output.block([]);
        if (error instanceof Interrupted) {
          throw new CliError(EXIT.failed, 'The demo was stopped before its end; nothing of it is left.');
        }
        if (error instanceof DemoError && error.outOfReach)
          throw new CliError(EXIT.outOfReach, error.message);
        keepFolder = true;
        throw new CliError(EXIT.failed, `${(error as Error).message}\nThe logs are kept in ${stage.folder}`);
      } finally {
        // Whatever still goes on, such as signups after a worker died, ends here.
        interrupted.abort(new Interrupted());
        await stage.close(keepFolder);
        release();
      }
    });
}

/** Ctrl-C, or the reader of our output has gone. */
class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/**
 * The first signal ends the demo in order, the second one at once. A broken pipe counts as a signal. Whatever
 * happens, no child outlives this process.
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

/** The first that settles counts; what the others do later is of no interest. */
function firstOf<T>(...promises: readonly Promise<T>[]): Promise<Awaited<T>> {
  for (const promise of promises) promise.catch(() => undefined);
  return Promise.race(promises);
}

/** A child that dies breaks what the demo does with it, and that may be heard of first. */
async function likelyCause(error: unknown, stage: Stage): Promise<never> {
  const certain = error instanceof Interrupted || (error instanceof DemoError && error.outOfReach);
  if (!certain) {
    await firstOf(stage.broken, sleep(CAUSE_WITHIN_MS));
  }
  throw error;
}

/** Ctrl-C is how `--keep` is meant to end. */
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
