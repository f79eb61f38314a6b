import type { BenchResult } from './row.ts';
import { markdownRows, summary } from './table.ts';

const HOW = `# Benchmarks

Made by \`npm run bench -- --write\`; do not edit. What is measured, how, and against what: [bench/](../bench/README.md).

Repeat it: \`npm ci && npm run bench\` (redis-server on the PATH, under 15 minutes on two cores), or one part of it:
\`npm run bench -- drain latency\`. Nothing else should run on the machine.

How to read it:
- Every figure is the median of several runs, with the least and the most in brackets; \`pass\` and \`short\` say how
  it stands to its target. Peers are measured in the same run, one after the other, on the same machine, Redis and
  simulator; ratios are taken within a run.
- Redis (append-only file, fsync every second), the simulator of the API and each worker are processes of their own.
  Times of arrival are the receiver's.
- A benchmark that did not deliver every event exactly where it belongs is a failure, however fast it was.`;

/** docs/benchmarks.md. */
export function benchmarksMarkdown(results: readonly BenchResult[]): string {
  const machines = [...new Set(results.map(({ machine }) => machine))];
  const parts = [HOW, `**${summary(results)}.**`, ...machines.map((machine) => `Machine: ${machine}.`)];
  for (const { name, about, at, quick, rows, charts, problems } of results) {
    parts.push(
      `## ${name}`,
      `${about[0]?.toUpperCase() ?? ''}${about.slice(1)}. Measured ${at}${quick ? ', in the quick form, which proves nothing' : ''}.`,
    );
    for (const { file, title } of charts) parts.push(`![${title}](img/${file})`);
    if (rows.length > 0) parts.push(markdownRows(rows));
    if (problems.length > 0) parts.push(problems.map((problem) => `- **Failed:** ${problem}`).join('\n'));
  }
  return `${parts.join('\n\n')}\n`;
}
