import type { RedriveRun } from '../ledger/letters/redrive-history.ts';
import type { RedriveReport } from '../tasks/redrive.ts';
import { RunRefusedError, type RunRequest } from '../tasks/redrive-letters.ts';
import { runRedrive } from '../tasks/redrive-run.ts';
import { Refusal, stopping } from './refusal.ts';
import type { RouteContext } from './routes/context.ts';

/** Redrives that this process runs at a time. */
const MOST_RUNS = 3;

interface Order {
  readonly request: RunRequest;
  readonly by: string;
  readonly stopAtFailures: number;
  readonly onEnded: (run: RedriveRun, report: RedriveReport) => Promise<void>;
}

/**
 * Runs redrives in this process, after the request that asked for them was answered. A process that stops
 * interrupts them; `resume` goes on with them, in any process.
 */
export function createRedriveRunner(context: RouteContext) {
  const { config, log } = context;
  const running = new Set<Promise<unknown>>();
  const leaving = new AbortController();

  const refuse = (error: unknown): never => {
    if (!(error instanceof RunRefusedError)) throw error;
    const advice = 'Look at the letters and the redrives again, and choose once more.';
    throw new Refusal(
      error.isUsage ? 400 : 409,
      error.isUsage ? 'malformed' : 'conflict',
      error.message,
      advice,
    );
  };

  const refuseHosted = (): void => {
    if (config.api.form !== 'hosted') return;
    const message = 'Letters hold no passwords, and a hosted registration needs one.';
    const advice = 'Use imsync dlq redrive --password-file FILE, or push the users again.';
    throw new Refusal(409, 'refused', message, advice);
  };

  const optionsOf = ({ request, by, stopAtFailures }: Omit<Order, 'onEnded'>) => ({
    ...{ config, request, by, redis: context.redis, keys: context.keys },
    password: undefined,
    maxFailedShare: stopAtFailures,
    signal: leaving.signal,
    onProgress: () => undefined,
    say: (text: string) => log.warn({ by }, text),
  });

  return {
    /** What a redrive would do. Changes nothing. */
    async plan(order: Omit<Order, 'onEnded'>): Promise<RedriveReport> {
      const { report } = await runRedrive({ ...optionsOf(order), dryRun: true }).catch(refuse);
      return report;
    },
    /** Resolves when the run is in the history; it goes on by itself. Rejects with a Refusal. */
    async start({ onEnded, ...order }: Order): Promise<RedriveRun> {
      if (leaving.signal.aborted) throw stopping();
      refuseHosted();
      if (running.size >= MOST_RUNS) {
        const message = `This process runs ${MOST_RUNS} redrives already.`;
        throw new Refusal(409, 'conflict', message, 'Wait for one to end, or stop one.');
      }
      return new Promise((resolve, reject) => {
        let begun: RedriveRun | undefined;
        const work = runRedrive({
          ...optionsOf(order),
          dryRun: false,
          onBegun(run) {
            begun = run;
            resolve(run);
          },
        })
          .then(async ({ report }) => {
            if (begun !== undefined) await onEnded(begun, report);
          })
          .catch((error: Error) => {
            if (begun === undefined) return Promise.reject(error).catch(refuse).catch(reject);
            log.error({ redrive: begun.id, reason: error.message }, 'a redrive of the console broke off');
          })
          .finally(() => running.delete(work));
        running.add(work);
      });
    },
    /** Interrupts the runs, and waits until the history says so. */
    async close(): Promise<void> {
      leaving.abort();
      await Promise.all(running);
    },
  };
}

export type RedriveRunner = ReturnType<typeof createRedriveRunner>;
