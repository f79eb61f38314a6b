import { TRANSIENT_ANSWERS } from './plan.ts';

/** The part of the simulator's report (GET /_sim/report) that the demo shows. */
export interface SimulatorFacts {
  readonly commands: Readonly<Record<string, CommandFacts | undefined>>;
}

interface CommandFacts {
  readonly calls: number;
  readonly accepted: number;
  readonly items: number;
  readonly startedLastSecond: number;
  /** Without arrivals that share a second only because of late timestamps of the simulator. */
  readonly maxSurelyInRollingSecond: number;
  readonly byErrorCode: Readonly<Record<string, number>>;
}

export const BATCH_COMMAND = 'multiaccount_import';

/** Returns the mean number of accounts per batch call, or 0 before the first call. */
export function accountsPerCall({ commands }: SimulatorFacts): string {
  const { accepted = 0, items = 0 } = commands[BATCH_COMMAND] ?? {};
  return (items / Math.max(1, accepted)).toFixed(1);
}

export function retriesOf({ commands }: SimulatorFacts): number {
  const counts = Object.values(commands).flatMap((command) =>
    TRANSIENT_ANSWERS.map((answer) => command?.byErrorCode[answer] ?? 0),
  );
  return counts.reduce((sum, n) => sum + n, 0);
}
