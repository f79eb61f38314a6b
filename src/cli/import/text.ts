import type { ImportCounts } from '../../tasks/backfill/checkpoint.ts';
import { type Tally, underWay } from '../../tasks/backfill/tally.ts';
import type { DryRun } from '../../tasks/backfill/validate-rows.ts';
import type { OpenRows } from '../../tasks/rows/open-rows.ts';
import { duration, grouped } from './rows-progress.ts';

/** Everything that is said of an import at its end; `--json` prints it as it is. */
export interface ImportSummary {
  readonly file: string;
  /** False when it was interrupted. */
  readonly complete: boolean;
  readonly counts: ImportCounts;
  /** Undefined when there are no rejects. */
  readonly rejectFile: string | undefined;
  readonly warnings: readonly string[];
  /** Of all runs of this import; undefined without --wait. */
  readonly outcome: (Tally & { readonly underWay: number }) | undefined;
  readonly seconds: number;
}

/** What the file is taken for, before anything is done. */
export function openedText(rows: OpenRows): string {
  const { format, encoding, columns, header, unused, bytes } = rows;
  const kind = `${format === 'csv' ? 'CSV' : 'NDJSON'}, ${encoding}${bytes.isGzip ? ', gzip' : ''}`;
  if (format === 'ndjson') return `${kind}.`;
  const taken = [...columns].map(([field, at]) => `${field} from ${header[at]}`).join(', ');
  return `${kind}: ${taken}${unused.length === 0 ? '' : `; not used: ${unused.slice(0, 20).join(', ')}`}.`;
}

export function summaryText({
  complete,
  counts,
  rejectFile,
  warnings,
  outcome,
  seconds,
}: ImportSummary): string {
  const rows: [string, number, string][] = [
    ['rows', counts.rows, complete ? '' : 'so far'],
    ['added', counts.added, outcome === undefined && counts.added > 0 ? 'the workers import them' : ''],
    [
      'there already',
      counts.there,
      counts.there > 0 ? 'not touched; --update overwrites their profiles' : '',
    ],
    ['rejected', counts.rejected, counts.rejected > 0 ? `in ${rejectFile}` : ''],
  ];
  if (counts.unasked > 0)
    rows.push([
      'not asked for',
      counts.unasked,
      `the API does not say whether they are there; in ${rejectFile}`,
    ]);
  if (outcome !== undefined) {
    const more = outcome.accepted - counts.added;
    rows.push(
      [
        'events',
        outcome.accepted,
        more > 0 ? `${grouped(more)} of them added twice, when it was killed` : '',
      ],
      ['  imported', outcome.imported, ''],
      ['  superseded', outcome.superseded, outcome.superseded > 0 ? 'by a newer event of the user' : ''],
      ['  dead letters', outcome.deadLettered, reasonsText(outcome)],
    );
    if (outcome.underWay > 0)
      rows.push(['  not counted', outcome.underWay, complete ? UNCOUNTED : 'still under way']);
  }
  const width = Math.max(...rows.map(([, count]) => grouped(count).length));
  const lines = rows.map(([name, count, note]) =>
    `${name.padEnd(15)}${grouped(count).padStart(width)}${note === '' ? '' : `  ${note}`}`.trimEnd(),
  );
  return `${[...warnings.map((warning) => `Warning: ${warning}`), ...lines, `It took ${duration(seconds)}.`].join('\n')}\n`;
}

const UNCOUNTED = 'ended by workers of a version that does not count; imsync verify says who is there';

function reasonsText({ deadByReason, deadLettered }: Tally): string {
  if (deadLettered === 0) return '';
  const parts = Object.entries(deadByReason).map(([reason, count]) => `${count} ${reason}`);
  return `${parts.join(', ')}; see imsync dlq list`;
}

/** What became of the rows so far, beside a progress bar. */
export function progressWords(counts: ImportCounts, obstacle: string): string {
  const bad = counts.rejected + counts.unasked;
  const parts = [`${grouped(counts.added)} added`];
  if (counts.there > 0) parts.push(`${grouped(counts.there)} there`);
  if (bad > 0) parts.push(`${grouped(bad)} rejected`);
  if (obstacle !== '') parts.push(obstacle);
  return parts.join(', ');
}

/** `secondsAtQuota`: for all rows that would go in. */
export function dryRunText(found: DryRun, warnings: readonly string[], secondsAtQuota: number): string {
  const { rows, valid, rejected, reasons, withNick, withFaceUrl, longProfiles, alone } = found;
  const lines = [
    ...warnings.map((warning) => `Warning: ${warning}`),
    `rows           ${grouped(rows)}`,
    `would go in    ${grouped(valid)}  ${grouped(withNick)} with a nick, ${grouped(withFaceUrl)} with a picture`,
    `would not      ${grouped(rejected)}`,
    ...reasons.map(
      ({ reason, rows: count, firstLine }) => `  ${grouped(count)}: ${reason} (first in line ${firstLine})`,
    ),
  ];
  if (longProfiles > 0)
    lines.push(
      `${grouped(longProfiles)} have a nick or picture over 500 bytes: their accounts are made without it.`,
    );
  if (alone > 0)
    lines.push(
      `${grouped(alone)} need a call of their own (legacy form: robots and profiles; hosted mode: everybody).`,
    );
  lines.push(
    `At the quota that is ${duration(secondsAtQuota)} if none is there yet. Nothing was changed, and nobody was asked.`,
  );
  return `${lines.join('\n')}\n`;
}

export function outcomeOf(tally: Tally): Tally & { readonly underWay: number } {
  return { ...tally, underWay: underWay(tally) };
}
