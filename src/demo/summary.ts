import type { StoredLetter } from '../ledger/letters/dead-letters.ts';
import type { Status } from '../ops/status.ts';
import type { Audit } from './audit.ts';
import { accountsPerCall, BATCH_COMMAND, count, counted, retriesOf } from './progress.ts';
import type { SimulatorFacts } from './simulator-control.ts';

/** All that is known when every signup has ended. */
export interface Outcome {
  readonly total: number;
  readonly elapsedMs: number;
  /** How long the fleet was held, in ms. */
  readonly heldMs: number;
  readonly status: Status;
  readonly facts: SimulatorFacts;
  readonly letters: readonly StoredLetter[];
  readonly audit: Audit;
}

export interface Check {
  readonly ok: boolean;
  readonly text: string;
}

/** What must be true for the demo to have worked. */
export function checksOf({ total, status, facts, letters, audit }: Outcome): Check[] {
  const { accepted, imported, superseded, deadLettered } = status.totals;
  const ended = imported + superseded + deadLettered;
  const balanced = ended === total && accepted === total && letters.length === deadLettered;
  const { missing, stale, strangers } = audit;
  const odd = [
    ...(missing.length > 0 ? [`${count(missing.length)} missing (${missing[0]})`] : []),
    ...(stale.length > 0 ? [`${count(stale.length)} with an old nick (${stale[0]})`] : []),
    ...(strangers.length > 0 ? [`${count(strangers.length)} nobody signed up for (${strangers[0]})`] : []),
  ];
  const held = `the simulator counts ${count(facts.accounts)} accounts`;
  const right = odd.length === 0 && facts.accounts === audit.expected;
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
        ? `${held}: every user's, each with the newest nick`
        : `${held}, expected ${count(audit.expected)}: ${odd.join(', ') || 'the numbers differ'}`,
    },
    ...Object.entries(status.calls).flatMap(([command, { quota }]) => quotaCheck(command, quota, facts)),
  ];
}

/** The summary as it is printed. */
export function summaryLines(outcome: Outcome): string[] {
  const { total, elapsedMs, heldMs, status, facts, letters } = outcome;
  const { imported, superseded } = status.totals;
  const sums: [string, number, string][] = [
    ['imported', imported, 'the API took them'],
    ['superseded', superseded, 'a newer event of the same user went in their place'],
    ['dead letters', letters.length, letters.length === 0 ? '' : 'kept, with their reason:'],
  ];
  const width = count(total).length;
  return [
    `${count(total)} signups in ${(elapsedMs / 1_000).toFixed(1)} s:`,
    ...sums.map(([name, n, text]) => `  ${name.padEnd(14)}${count(n).padStart(width)}  ${text}`.trimEnd()),
    ...groupsOf(letters).flatMap(({ title, size, example }) => [
      `    ${count(size).padStart(5)} × ${title}`,
      `            for example ${example}`,
    ]),
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
  const stall =
    most > quota && surely <= quota
      ? ` (${surely} for sure: the simulator stalled for ${Math.round(facts.longestStallMs)} ms and counted late)`
      : '';
  return [
    { ok: surely <= quota, text: `${command}: most calls in any second ${most} of ${quota} allowed${stall}` },
  ];
}

const PURPOSES: Readonly<Record<string, string>> = {
  account_import: ', one account each: its answer says why a batch did not take it',
  account_check: ', to find out whether the hold is over',
};

function callLines(facts: SimulatorFacts): string[] {
  const lines = Object.entries(facts.commands).map(([command, of]) => {
    const what =
      command === BATCH_COMMAND
        ? `, ${accountsPerCall(facts).toFixed(1)} accounts each (with the small ones that single out a refused nick)`
        : (PURPOSES[command] ?? '');
    return `  ${counted(of?.calls ?? 0, 'call')} of ${command}${what}`;
  });
  return [...lines, `  ${count(retriesOf(facts))} of them failed for a moment and were made again`];
}

function holdLine(heldMs: number): string {
  return heldMs === 0
    ? '  no hold: the app fault came when no call was on its way'
    : `  ${(heldMs / 1_000).toFixed(1)} s of hold for an app fault: events waited, nothing was lost, work resumed by itself`;
}

interface LetterGroup {
  readonly title: string;
  readonly size: number;
  readonly example: string;
}

const REASONS: Readonly<Record<StoredLetter['reason'], string>> = {
  invalid: 'never sent, no account can have this ID',
  rejected: 'refused by the API',
  profile: 'imported, but without the nick and picture that the API refused',
  expired: 'tried until too old',
  unknown: 'an answer that nobody knows',
};

/** By reason and code, the most frequent first. */
function groupsOf(letters: readonly StoredLetter[]): LetterGroup[] {
  const groups = new Map<string, StoredLetter[]>();
  for (const letter of letters) {
    const name = `${letter.reason}${letter.errorCode === 0 ? '' : ` ${letter.errorCode}`}`;
    groups.set(name, [...(groups.get(name) ?? []), letter]);
  }
  return [...groups]
    .sort(([, a], [, b]) => b.length - a.length)
    .flatMap(([name, [first, ...rest]]) =>
      first === undefined
        ? []
        : [
            {
              title: `${name}: ${REASONS[first.reason]}`,
              size: rest.length + 1,
              example: `${JSON.stringify(first.userId)}: ${first.errorInfo}`,
            },
          ],
    );
}
