import { parseArgs } from 'node:util';
import { play, rows, table } from './matrix.ts';
import type { RowResult } from './row.ts';

/**
 * `npm run chaos -- [NAME...] [--seed N] [--brief] [--list]`: breaks things while events flow, and says what was
 * lost. NAME is a row, or the beginning of some. Ends with 1 if a promise broke, 2 if there is no such row, 3 if none
 * broke but a row could not be run here: of it nothing is known.
 */
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, list: { type: 'boolean' }, brief: { type: 'boolean' } },
});
const seed = Number(values.seed ?? 1);
const chosen =
  positionals.length === 0
    ? rows
    : rows.filter(({ name }) => positionals.some((wanted) => name.startsWith(wanted)));

if (values.list === true) {
  for (const { name, promise, short } of rows) say(`${name.padEnd(28)} ${short ? '*' : ' '} ${promise}`);
  say('\n* also in npm test, in a short form');
} else if (chosen.length === 0 || !Number.isSafeInteger(seed)) {
  process.stderr.write(
    `chaos: no row is called ${positionals.join(' or ')}, or the seed is no number; see --list\n`,
  );
  process.exitCode = 2;
} else {
  const results: RowResult[] = [];
  for (const [i, row] of chosen.entries()) {
    say(`[${i + 1}/${chosen.length}] ${row.name}: ${row.promise}`);
    const result = await play(row, seed, values.brief === true, say);
    results.push(result);
    if (result.notRun !== undefined) {
      say(`  NOT RUN: ${result.notRun}`);
      continue;
    }
    const { events, lost, repeated, problems, tookMs, notes } = result;
    say(
      `  ${problems.length === 0 ? 'held' : 'BROKEN'}: ${events} events, ${lost} lost, ${repeated} repeated, ` +
        `${(tookMs / 1000).toFixed(0)} s; ${notes.join('; ')}`,
    );
  }
  say(`\nseed ${seed}\n${table(results)}`);
  for (const { name, notRun } of results)
    if (notRun !== undefined) process.stderr.write(`${name}: NOT RUN, nothing is known of it: ${notRun}\n`);
  const broken = results.filter(({ problems }) => problems.length > 0);
  for (const { name, problems } of broken)
    for (const sentence of problems) process.stderr.write(`${name}: ${sentence}\n`);
  const isUnknown = results.some(({ notRun }) => notRun !== undefined);
  process.exitCode = broken.length > 0 ? 1 : isUnknown ? 3 : 0;
}
