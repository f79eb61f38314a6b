import type { StoredLetter } from '../ledger/letters/dead-letters.ts';
import type { Status } from '../ops/status.ts';
import type { PlannedSignup } from './plan.ts';
import { accountsPerCall, BATCH_COMMAND, count, counted, retriesOf } from './progress.ts';
import type { SimulatorFacts } from './stage.ts';

/** Compares the signups with the accounts of the simulator, independently of the workers' own counts. */
export interface Audit {
  /** How many accounts there should be, by the signups and the dead letters. */
  readonly expected: number;
  /** Users who have neither an account nor a dead letter. */
  readonly missing: readonly string[];
  /** Users whose account has an old nick although no dead letter explains it. */
  readonly stale: readonly string[];
  /** Accounts of users who did not sign up. */
  readonly unknown: readonly string[];
}

/** `accounts` holds the nick of each user ID. */
export function auditAccounts(
  signups: readonly PlannedSignup[],
  letters: readonly StoredLetter[],
  accounts: ReadonlyMap<string, string>,
): Audit {
  const newestNick = new Map(signups.map(({ user }) => [user.userId, user.nick ?? '']));
  const usersOf = (some: readonly StoredLetter[]) => new Set(some.map(({ userId }) => userId));
  const bare = usersOf(letters.filter(({ reason }) => reason === 'profile'));
  const refused = usersOf(letters.filter(({ reason }) => reason !== 'profile'));
  const missing: string[] = [];
  const stale: string[] = [];
  let expected = 0;
  for (const [userId, nick] of newestNick) {
    const accountNick = accounts.get(userId);
    if (accountNick !== undefined || !refused.has(userId)) expected++;
    if (accountNick === undefined) {
      if (!refused.has(userId)) missing.push(userId);
    } else if (accountNick !== nick && !bare.has(userId)) stale.push(userId);
  }
  const unknown = [...accounts.keys()].filter((userId) => !newestNick.has(userId));
  return { expected, missing, stale, unknown };
}

/** Everything the demo knows after its last signup has ended. */
export interface Outcome {
  readonly total: number;
  readonly elapsedMs: number;
  /** How long the calls were held, in ms. */
  readonly heldMs: number;
  readonly status: Status;
  readonly facts: SimulatorFacts;
  readonly letters: readonly StoredLetter[];
  readonly audit: Audit;
}

interface Check {
  readonly ok: boolean;
  readonly text: string;
}

/** Returns the checks that decide whether the demo has worked. */
export function checksOf({ total, status, facts, letters, audit }: Outcome): Check[] {
  const { accepted, imported, superseded, deadLettered } = status.totals;
  const ended = imported + superseded + deadLettered;
  const balanced = ended === total && accepted === total && letters.length === deadLettered;
  const { missing, stale, unknown } = audit;
  const problems = [
    ...(missing.length > 0 ? [`${count(missing.length)} missing (${missing[0]})`] : []),
    ...(stale.length > 0 ? [`${count(stale.length)} with an old nick (${stale[0]})`] : []),
    ...(unknown.length > 0 ? [`${count(unknown.length)} without a signup (${unknown[0]})`] : []),
  ];
  const counts = `the simulator counts ${count(facts.accounts)} accounts`;
  const right = problems.length === 0 && facts.accounts === audit.expected;
  return [
    {
      ok: balanced,
      text: balanced
        ? `imported + superseded + dead letters = ${count(total)}, as many as signed up`
        : `imported + superseded + dead letters = ${count(ended)} (${count(letters.length)} letters listed), but ` +
          `${count(total)} signed up and Redis accepted ${count(accepted)}`,
    },
    {
      ok: right,
      text: right
        ? `${counts}: every user's, each with the newest nick`
        : `${counts}, expected ${count(audit.expected)}: ${problems.join(', ') || 'the numbers differ'}`,
    },
    ...Object.entries(status.calls).flatMap(([command, { quota }]) => quotaCheck(command, quota, facts)),
  ];
}

export function summaryLines(outcome: Outcome): string[] {
  const { total, elapsedMs, heldMs, status, facts, letters } = outcome;
  const { imported, superseded } = status.totals;
  const sums: [string, number, string][] = [
    ['imported', imported, 'the API accepted them'],
    ['superseded', superseded, 'a newer event of the same user replaced them'],
    ['dead letters', letters.length, letters.length === 0 ? '' : 'kept with their reason:'],
  ];
  const width = count(total).length;
  return [
    `${count(total)} signups in ${(elapsedMs / 1_000).toFixed(1)} s:`,
    ...sums.map(([name, n, text]) => `  ${name.padEnd(14)}${count(n).padStart(width)}  ${text}`.trimEnd()),
    ...letterLines(letters),
    '',
    ...callLines(facts),
    holdLine(heldMs),
    '',
    ...checksOf(outcome).map(({ ok, text }) => `  ${ok ? '✓' : '✗'} ${text}`),
  ];
}

function quotaCheck(command: string, quota: number, facts: SimulatorFacts): Check[] {
  const of = facts.commands[command];
  if (of === undefined) return [];
  const { maxInRollingSecond: most, maxSurelyInRollingSecond: surely } = of;
  const late = `the simulator stalled for ${Math.round(facts.longestStallMs)} ms and counted late`;
  const stall = most > quota && surely <= quota ? ` (at least ${surely}: ${late})` : '';
  return [
    { ok: surely <= quota, text: `${command}: most calls in any second ${most} of ${quota} allowed${stall}` },
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
        ? `, ${accountsPerCall(facts).toFixed(1)} accounts each (small calls isolate a refused nick)`
        : (PURPOSES[command] ?? '');
    return `  ${counted(of?.calls ?? 0, 'call')} of ${command}${what}`;
  });
  return [...lines, `  ${count(retriesOf(facts))} calls had a transient error and were retried`];
}

function holdLine(heldMs: number): string {
  return heldMs === 0
    ? '  no hold: no call met the app fault'
    : `  ${(heldMs / 1_000).toFixed(1)} s of hold for an app fault: events waited, and work resumed by itself`;
}

const REASONS: Readonly<Record<StoredLetter['reason'], string>> = {
  invalid: 'never sent, because no account can have this ID',
  rejected: 'refused by the API',
  profile: 'imported without the nick and picture that the API refused',
  expired: 'retried until the event was too old',
  unknown: 'an answer without a documented meaning',
};

/** Describes the dead letters by reason and code, the most frequent first, each with an example. */
function letterLines(letters: readonly StoredLetter[]): string[] {
  const groups = new Map<string, { size: number; first: StoredLetter }>();
  for (const letter of letters) {
    const name = `${letter.reason}${letter.errorCode === 0 ? '' : ` ${letter.errorCode}`}`;
    const { size, first } = groups.get(name) ?? { size: 0, first: letter };
    groups.set(name, { size: size + 1, first });
  }
  const sorted = [...groups].sort(([, a], [, b]) => b.size - a.size);
  return sorted.flatMap(([name, { size, first }]) => [
    `    ${count(size).padStart(5)} × ${name}: ${REASONS[first.reason]}`,
    `            for example ${JSON.stringify(first.userId)}: ${first.errorInfo}`,
  ]);
}
