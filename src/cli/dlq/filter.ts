import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type DeadReason,
  deadReasons,
  type LetterFilter,
  type LetterState,
  letterStates,
} from '../../ledger/letters/dead-letters.ts';
import { numberFrom } from '../option.ts';

export interface FilterFlags {
  readonly code?: number;
  readonly reason?: DeadReason;
  readonly user?: string;
  readonly olderThan?: number;
  readonly newerThan?: number;
  readonly limit?: number;
  readonly state?: LetterState | 'all';
}

export const FILTER_HELP = `
An age counts from the time at which the event (last) became a dead letter. Examples: 90s, 30m, 2h, 7d, 4w.`;

/** Adds the filter options. Without `withState` the verb is about letters in one state only. */
export function addFilterOptions(command: Command, withState: boolean): Command {
  command
    .option('--code <number>', 'only letters with this error code; 0 means without one', numberFrom(0))
    .addOption(new Option('--reason <reason>', 'only letters with this reason').choices(deadReasons))
    .option('--user <id>', 'only letters of this user')
    .option('--older-than <age>', 'only letters of at least this age', readAge)
    .option('--newer-than <age>', 'only letters below this age', readAge)
    .option('--limit <number>', 'at most this many letters, oldest first', numberFrom(1));
  if (!withState) return command;
  const states = [...letterStates, 'all'];
  return command.addOption(
    new Option('--state <state>', 'only letters in this state (default: dead)').choices(states),
  );
}

export function filterOf(flags: FilterFlags): LetterFilter {
  const { state = 'dead', code, reason, user, olderThan, newerThan, limit } = flags;
  return {
    state,
    errorCode: code,
    reason,
    userId: user,
    olderThanMs: olderThan,
    newerThanMs: newerThan,
    limit,
  };
}

/** Whether any option of the filter is given, except for the state. */
export function isFiltered({ code, reason, user, olderThan, newerThan, limit }: FilterFlags): boolean {
  return [code, reason, user, olderThan, newerThan, limit].some((value) => value !== undefined);
}

/** Whether the filter selects letters. A limit alone does not say which; the states dead and all mean all. */
export function isNarrowed({ limit: _limit, ...flags }: FilterFlags): boolean {
  return flags.state === 'resolved' || isFiltered(flags);
}

const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** An age such as 2h in milliseconds. Throws the error that commander prints. */
export function readAge(text: string): number {
  const [, digits, unit] = /^(\d{1,6}(?:\.\d{1,3})?)([smhdw])$/.exec(text) ?? [];
  if (digits === undefined || unit === undefined)
    throw new InvalidArgumentError('An age is a number with a unit: 90s, 30m, 2h, 7d or 4w.');
  return Math.round(Number(digits) * UNITS_MS[unit as keyof typeof UNITS_MS]);
}

/** Collects event IDs, `<ms>-<seq>`, from arguments. Throws the error that commander prints. */
export function addEventId(text: string, earlier: readonly string[] = []): string[] {
  if (!/^\d{1,20}-\d{1,20}$/.test(text))
    throw new InvalidArgumentError('An event ID looks like 1743700123000-0. imsync dlq list shows them.');
  return earlier.includes(text) ? [...earlier] : [...earlier, text];
}
