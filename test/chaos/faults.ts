import { parseArgs } from 'node:util';
import { startRedis } from '../support/redis-server.ts';
import { KINDS, type Kind, type PlayResult, playFault, SCOPES, type Scope } from '../support/whose-fault.ts';

/**
 * `npm run chaos:faults -- [WORD...] [--signups] [--at-once N]`: every kind of answer in every scope, each with a real
 * worker process at default settings behind a gateway of its own. WORD chooses plays, such as `403` or `by size`. Prints
 * a table in Markdown, and ends with 1 if an innocent user was left behind or buried.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { signups: { type: 'boolean', default: false }, 'at-once': { type: 'string', default: '6' } },
});
const FIRST_APP = 1_400_001_000;

const plays = (Object.keys(KINDS) as Kind[])
  .flatMap((kind) => SCOPES.map((scope) => ({ kind, scope, name: `${kind} × ${scope}` })))
  .filter(({ name }) => positionals.length === 0 || positionals.some((word) => name.includes(word)));
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

function row(kind: Kind, scope: Scope, result: PlayResult): string {
  const { innocents, innocentsImported, innocentsMs, calls, singleCalls, culprits, heldMs } = result;
  const seconds = (ms: number): string => (ms / 1_000).toFixed(1);
  const ends = [...new Set(culprits)].join('; ') || '–';
  return `| ${kind} | ${scope} | ${innocentsImported} of ${innocents} | ${seconds(innocentsMs)} | ${calls} (${singleCalls}) | ${seconds(heldMs)} | ${result.innocentLetters.length} | ${ends} |`;
}

const server = await startRedis();
const rows = new Map<string, string>();
let broken = 0;
const waiting = [...plays.entries()];
const lane = async (): Promise<void> => {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const [n, { kind, scope, name }] = next;
    try {
      const result = await playFault(server, FIRST_APP + n, { kind, scope, signups: values.signups });
      const isWell = result.innocentsImported === result.innocents && result.innocentLetters.length === 0;
      if (!isWell) broken += 1;
      rows.set(name, row(kind, scope, result));
      say(`${isWell ? 'held' : 'BROKEN'}: ${rows.get(name)}`);
    } catch (error) {
      broken += 1;
      rows.set(name, `| ${kind} | ${scope} | BROKEN: ${(error as Error).message} | | | | | |`);
      say(`BROKEN: ${name}: ${(error as Error).message}`);
    }
  }
};
await Promise.all(Array.from({ length: Number(values['at-once']) }, lane));
await server.stop();
say(
  '\n| answer | scope | innocent imported | after, s | import calls (single) | held, s | innocent buried | culprits |\n|---|---|---|---|---|---|---|---|',
);
for (const { name } of plays) say(rows.get(name) ?? '');
if (broken > 0) process.exitCode = 1;
