import { type BenchResult, type Row, spreadText, targetText, verdictOn } from './row.ts';

const HEAD = ['what', 'who', 'median (min…max)', 'unit', 'target', ''] as const;

function cellsOf(row: Row): string[] {
  const verdict = verdictOn(row);
  const note = row.note === undefined ? '' : ` (${row.note})`;
  return [
    row.what,
    row.who,
    spreadText(row.spread),
    row.unit,
    targetText(row.target),
    `${verdict}${note}`.trim(),
  ];
}

/** The rows of one benchmark, aligned for a terminal. */
export function terminalTable(rows: readonly Row[]): string {
  const lines = [[...HEAD], ...rows.map(cellsOf)];
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => [...(line[column] ?? '')].length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The same as a Markdown table. */
export function markdownRows(rows: readonly Row[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(HEAD), line(HEAD.map(() => '---')), ...rows.map((row) => line(cellsOf(row)))].join('\n');
}

/** One line on how all of it came out. */
export function summary(results: readonly BenchResult[]): string {
  const verdicts = results.flatMap(({ rows }) => rows.map(verdictOn));
  const count = (word: string): number => verdicts.filter((verdict) => verdict === word).length;
  const failed = results.filter(({ problems }) => problems.length > 0).map(({ name }) => name);
  const words = `${count('pass')} targets reached, ${count('short')} short`;
  return failed.length === 0 ? words : `${words}; FAILED: ${failed.join(', ')}`;
}
