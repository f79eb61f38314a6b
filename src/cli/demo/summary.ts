import type { UserInput } from '../../event/fields.ts';
import type { StoredLetter } from '../../ledger/letters/dead-letters.ts';
import { LETTER_ADVICE } from '../../ledger/letters/dead-letters.ts';
import type { LetterGroup } from '../../ledger/letters/letter-store.ts';
import type { Totals } from '../../ledger/totals.ts';
import { printableJson } from '../../ops/feed/record.ts';
import type { Quota } from '../../pace/budget.ts';
import { counted, countedLines, grouped, type NamedCount, reasonText } from '../format.ts';
import { TRANSIENT_ANSWERS } from './plan.ts';

export const BATCH_COMMAND = 'multiaccount_import';

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

/** Everything the demo knows after its last signup has ended. */
export interface Outcome {
  readonly signups: readonly UserInput[];
  readonly elapsedMs: number;
  /** How long the calls were held, in ms. */
  readonly heldMs: number;
  readonly totals: Pick<Totals, 'accepted' | 'imported' | 'superseded' | 'deadLettered'>;
  readonly facts: SimulatorFacts;
  readonly letters: readonly StoredLetter[];
  readonly groups: readonly LetterGroup[];
  /** The accounts of the simulator. */
  readonly accounts: readonly { readonly userId: string; readonly nick?: string }[];
  readonly quotas: Readonly<Record<string, Pick<Quota, 'perSecond'>>>;
}

interface Check {
  readonly ok: boolean;
  readonly text: string;
}

/** Returns the checks that decide whether the demo has worked. */
export function checksOf(outcome: Outcome): Check[] {
  const { signups, totals, facts, letters, accounts, quotas } = outcome;
  const { accepted, imported, superseded, deadLettered } = totals;
  const total = signups.length;
  const ended = imported + superseded + deadLettered;
  const balanced = ended === total && accepted === total && letters.length === deadLettered;
  const sum = `imported + superseded + dead letters = ${grouped(ended)}`;
  const problems = accountProblems(outcome);
  return [
    {
      ok: balanced,
      text: balanced
        ? `${sum}, as many as signed up`
        : `${sum} (${grouped(letters.length)} letters listed), but ${grouped(total)} signed up and Redis accepted ${grouped(accepted)}`,
    },
    {
      ok: problems.length === 0,
      text: `the simulator counts ${grouped(accounts.length)} accounts: ${problems.join(', ') || "every user's, each with the newest nick"}`,
    },
    ...Object.entries(quotas).flatMap(([command, { perSecond }]) => {
      const most = facts.commands[command]?.maxSurelyInRollingSecond;
      if (most === undefined) return [];
      return [
        {
          ok: most <= perSecond,
          text: `${command}: most calls in any second ${most} of ${perSecond} allowed`,
        },
      ];
    }),
  ];
}

/** Compares the signups with the accounts of the simulator, independently of the workers' own counts. */
function accountProblems({ signups, letters, accounts }: Outcome): string[] {
  const newestNick = new Map(signups.map(({ userId, nick }) => [userId, nick ?? '']));
  const nickOf = new Map(accounts.map(({ userId, nick }) => [userId, nick ?? '']));
  const usersOf = (some: readonly StoredLetter[]) => new Set(some.map(({ userId }) => userId));
  const bare = usersOf(letters.filter(({ reason }) => reason === 'profile'));
  const refused = usersOf(letters.filter(({ reason }) => reason !== 'profile'));
  const users = [...newestNick.keys()];
  const imported = users.filter((userId) => nickOf.has(userId) && !bare.has(userId));
  const problems = {
    missing: users.filter((userId) => !nickOf.has(userId) && !refused.has(userId)),
    'with an old nick': imported.filter((userId) => nickOf.get(userId) !== newestNick.get(userId)),
    'without a signup': [...nickOf.keys()].filter((userId) => !newestNick.has(userId)),
  };
  return Object.entries(problems).flatMap(([what, ids]) =>
    ids.length === 0 ? [] : [`${grouped(ids.length)} ${what} (${ids[0]})`],
  );
}

export function summaryLines(outcome: Outcome): string[] {
  const { signups, elapsedMs, heldMs, totals, facts, letters, groups } = outcome;
  const sums: NamedCount[] = [
    ['  imported', totals.imported, 'the API accepted them'],
    ['  superseded', totals.superseded, 'a newer event of the same user replaced them'],
    ['  dead letters', letters.length, letters.length === 0 ? '' : 'kept with their reason:'],
  ];
  return [
    `${grouped(signups.length)} signups in ${(elapsedMs / 1_000).toFixed(1)} s:`,
    ...countedLines(sums),
    ...groups.flatMap(groupLines),
    '',
    ...callLines(facts),
    heldMs === 0
      ? '  no hold: no call met the app fault'
      : `  ${(heldMs / 1_000).toFixed(1)} s of hold for an app fault: events waited, and work resumed by itself`,
    '',
    ...checksOf(outcome).map(({ ok, text }) => `  ${ok ? '✓' : '✗'} ${text}`),
  ];
}

const PURPOSES: Readonly<Record<string, string>> = {
  account_import: ', one account each, to learn why a batch refused it',
  account_check: ', to find out whether the hold is over',
};

function callLines(facts: SimulatorFacts): string[] {
  const lines = Object.entries(facts.commands).map(([command, of]) => {
    const what =
      command === BATCH_COMMAND
        ? `, ${accountsPerCall(facts)} accounts each (small calls isolate a refused nick)`
        : (PURPOSES[command] ?? '');
    return `  ${counted(of?.calls ?? 0, 'call')} of ${command}${what}`;
  });
  return [...lines, `  ${grouped(retriesOf(facts))} calls had a transient error and were retried`];
}

/** The dead letters of one reason and code, with an example. */
function groupLines(group: LetterGroup): string[] {
  const { reason, count, newest } = group;
  return [
    `    ${grouped(count).padStart(5)} × ${reasonText(group)}: ${LETTER_ADVICE[reason]}`,
    `            for example ${printableJson(newest?.userId)}: ${newest?.errorInfo}`,
  ];
}

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
