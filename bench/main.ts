import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { writeDocument } from './report/document.ts';
import { profileText } from './report/profile.ts';
import { summary } from './report/table.ts';
import { benches, runBenches } from './run.ts';
import { leaveNothingBehind } from './stage/leave-nothing.ts';

const USAGE = `npm run bench -- [NAME...] [options]: measures the worker beside its peers. NAME is one of --list.

  --runs N        measure each figure N times (default by benchmark, 1 to 3; with --quick 1)
  --quick         small amounts: shows that it works, proves nothing
  --full          the largest amounts, too (5 million waiting)
  --json FILE     write the results there as JSON
  --write         write docs/benchmarks.md, its JSON and its charts; what was not measured stays as it was
  --profile DIR   the workers write CPU profiles there, and the functions that cost most are printed
  --list          name the benchmarks and end

Exit codes: 0 measured (short of a target or not), 1 an event was not delivered exactly or a benchmark broke, 2 usage.`;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

function usage(sentence: string): never {
  process.stderr.write(`bench: ${sentence}\n\n${USAGE}\n`);
  process.exit(2);
}

function readArgs() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        runs: { type: 'string' },
        quick: { type: 'boolean' },
        full: { type: 'boolean' },
        json: { type: 'string' },
        write: { type: 'boolean' },
        profile: { type: 'string' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    return usage((error as Error).message);
  }
}

const { values, positionals } = readArgs();
const unknown = positionals.filter((name) => !benches.some((bench) => bench.name === name));
const quick = values.quick === true;
const runs = values.runs === undefined ? undefined : Number(values.runs);

if (values.help === true) say(USAGE);
else if (values.list === true) for (const { name, about } of benches) say(`${name.padEnd(18)} ${about}`);
else if (unknown.length > 0) usage(`there is no benchmark called ${unknown.join(' or ')}`);
else if (runs !== undefined && !(Number.isSafeInteger(runs) && runs >= 1))
  usage('--runs wants a whole number from 1 up');
else {
  leaveNothingBehind();
  const chosen =
    positionals.length === 0 ? benches : benches.filter(({ name }) => positionals.includes(name));
  const results = await runBenches(chosen, {
    runs,
    quick,
    full: values.full === true,
    say,
    profileFolder: values.profile,
  });
  if (values.profile !== undefined) say(`\n${profileText(values.profile)}`);
  say(`\n${summary(results)}`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 1)}\n`);
  if (values.write === true)
    say(
      `written: ${writeDocument(
        results,
        benches.map(({ name }) => name),
      ).join(', ')}`,
    );
  process.exitCode = results.some(({ problems }) => problems.length > 0) ? 1 : 0;
}
