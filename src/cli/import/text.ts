import type { ImportCounts } from '../../tasks/backfill/import-files.ts';
import { type Tally, underWay } from '../../tasks/backfill/stream-writer.ts';
import type { DryRun } from '../../tasks/backfill/validate-rows.ts';
import { countedLines, duration, grouped, type NamedCount } from '../format.ts';

/** The result of an import. `--json` prints it as it is. */
export interface ImportSummary {
  readonly file: string;
  /** False when the import was interrupted. */
  readonly complete: boolean;
  readonly counts: ImportCounts;
  /** Undefined when no row was rejected. */
  readonly rejectFile: string | undefined;
  readonly warnings: readonly string[];
  /** How the events of all runs of this import ended; undefined without --wait. */
  readonly outcome: (Tally & { readonly underWay: number }) | undefined;
  readonly seconds: number;
}

export function summaryText({
  complete,
  counts,
  rejectFile,
  warnings,
  outcome,
  seconds,
}: ImportSummary): string {
  const rows: NamedCount[] = [
    ['rows', counts.rows, complete ? '' : 'so far'],
    ['added', counts.added, outcome === undefined && counts.added > 0 ? 'the workers import them' : ''],
    ['existing', counts.there, counts.there > 0 ? 'not changed; --update overwrites their profiles' : ''],
    ['rejected', counts.rejected, counts.rejected > 0 ? `in ${rejectFile}` : ''],
  ];
  if (counts.unasked > 0)
    rows.push(['not checked', counts.unasked, `the API does not say whether they exist; in ${rejectFile}`]);
  if (outcome !== undefined) {
    const more = outcome.accepted - counts.added;
    const twice = more > 0 ? `${grouped(more)} of them added twice, because the import was killed` : '';
    rows.push(
      ['events', outcome.accepted, twice],
      ['  imported', outcome.imported, ''],
      ['  superseded', outcome.superseded, outcome.superseded > 0 ? 'by a newer event of the user' : ''],
      ['  dead letters', outcome.deadLettered, reasonsText(outcome)],
    );
    if (outcome.underWay > 0)
      rows.push(['  not counted', outcome.underWay, complete ? UNCOUNTED : 'not ended yet']);
  }
  const lines = [...warnings.map((warning) => `Warning: ${warning}`), ...countedLines(rows)];
  return `${[...lines, `It took ${duration(seconds)}.`].join('\n')}\n`;
}

const UNCOUNTED =
  'ended by workers of a version that does not count them; imsync verify shows which accounts exist';

function reasonsText({ deadByReason, deadLettered }: Tally): string {
  if (deadLettered === 0) return '';
  const parts = Object.entries(deadByReason).map(([reason, count]) => `${count} ${reason}`);
  return `${parts.join(', ')}; see imsync dlq list`;
}

/** What happened to the rows so far. The progress line shows it. */
export function progressWords(counts: ImportCounts, obstacle: string): string {
  const bad = counts.rejected + counts.unasked;
  const parts = [`${grouped(counts.added)} added`];
  if (counts.there > 0) parts.push(`${grouped(counts.there)} existing`);
  if (bad > 0) parts.push(`${grouped(bad)} rejected`);
  if (obstacle !== '') parts.push(obstacle);
  return parts.join(', ');
}

/** `secondsAtQuota`: the time that all valid rows take. */
export function dryRunText(found: DryRun, warnings: readonly string[], secondsAtQuota: number): string {
  const { rows, valid, rejected, reasons, withNick, withFaceUrl, longProfiles, alone } = found;
  const lines = [
    ...warnings.map((warning) => `Warning: ${warning}`),
    `rows           ${grouped(rows)}`,
    `valid          ${grouped(valid)}  ${grouped(withNick)} with a nick, ${grouped(withFaceUrl)} with a picture`,
    `rejected       ${grouped(rejected)}`,
    ...reasons.map(
      ({ reason, rows: count, firstLine }) => `  ${grouped(count)}: ${reason} (first in line ${firstLine})`,
    ),
  ];
  if (longProfiles > 0)
    lines.push(
      `${grouped(longProfiles)} have a nick or picture over 500 bytes: their accounts are created without it.`,
    );
  if (alone > 0)
    lines.push(
      `${grouped(alone)} need a call of their own (legacy form: robots and users with a profile; hosted mode: all users).`,
    );
  lines.push(
    `At the full quota the import takes ${duration(secondsAtQuota)} if no account exists yet. Nothing was changed, and no calls were made.`,
  );
  return `${lines.join('\n')}\n`;
}

export function outcomeOf(tally: Tally): Tally & { readonly underWay: number } {
  return { ...tally, underWay: underWay(tally) };
}
