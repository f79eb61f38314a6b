import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type DeadReason,
  deadReasons,
  type LetterState,
  letterStates,
} from '../../ledger/letters/dead-letters.ts';
import type { LetterFilter } from '../../ledger/letters/letter-filter.ts';

/** The filter options as commander gives them. */
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
Ages are counted from the (last) death: 90s, 30m, 2h, 7d or 4w.`;

/** Adds the filter options. Without `withState` the verb is about letters of one state. */
export function addFilterOptions(command: Command, withState: boolean): Command {
  command
    .option('--code <number>', 'letters with this error code; 0: those without one', wholeNumber)
    .addOption(new Option('--reason <reason>', 'letters of this reason').choices(deadReasons))
    .option('--user <id>', 'letters of this user')
    .option('--older-than <age>', 'letters at least so old', readAge)
    .option('--newer-than <age>', 'letters not so old yet', readAge)
    .option('--limit <number>', 'so many letters at most, oldest first', positiveNumber);
  if (!withState) return command;
  const states = [...letterStates, 'all'];
  return command.addOption(
    new Option('--state <state>', 'letters in this state (default: dead)').choices(states),
  );
}

export function filterOf(flags: FilterFlags): LetterFilter {
  return {
    state: flags.state ?? 'dead',
    ...(flags.code !== undefined && { errorCode: flags.code }),
    ...(flags.reason !== undefined && { reason: flags.reason }),
    ...(flags.user !== undefined && { userId: flags.user }),
    ...(flags.olderThan !== undefined && { olderThanMs: flags.olderThan }),
    ...(flags.newerThan !== undefined && { newerThanMs: flags.newerThan }),
    ...(flags.limit !== undefined && { limit: flags.limit }),
  };
}

/** Whether the filter names some of all letters; a limit alone does not say which, a state of dead is all. */
export function isNarrowed(flags: FilterFlags): boolean {
  const { code, reason, user, olderThan, newerThan, state } = flags;
  if ([code, reason, user, olderThan, newerThan].some((given) => given !== undefined)) return true;
  return state === 'resolved';
}

const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** Milliseconds of an age such as 2h. Throws what commander shows. */
export function readAge(text: string): number {
  const [, digits, unit] = /^(\d{1,6}(?:\.\d{1,3})?)([smhdw])$/.exec(text) ?? [];
  if (digits === undefined || unit === undefined)
    throw new InvalidArgumentError('An age is a number with a unit: 90s, 30m, 2h, 7d or 4w.');
  return Math.round(Number(digits) * UNITS_MS[unit as keyof typeof UNITS_MS]);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

export function positiveNumber(text: string): number {
  const number = wholeNumber(text);
  if (number < 1) throw new InvalidArgumentError('It must be a whole number of 1 or more.');
  return number;
}

/** Event IDs as arguments: `<ms>-<seq>`. Throws what commander shows. */
export function addEventId(text: string, earlier: readonly string[] = []): string[] {
  if (!/^\d{1,20}-\d{1,20}$/.test(text))
    throw new InvalidArgumentError('An event ID looks like 1743700123000-0; dlq list shows them.');
  return earlier.includes(text) ? [...earlier] : [...earlier, text];
}
