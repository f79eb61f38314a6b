import { seededRandom } from '../../simulator/randomness.ts';
import { runRow } from './arena.ts';
import type { Row, RowResult } from './row.ts';
import { apiRows } from './rows/api.ts';
import { clockRows } from './rows/clocks.ts';
import { frozenRows } from './rows/frozen.ts';
import { hostileRows } from './rows/hostile.ts';
import { jobRows } from './rows/jobs.ts';
import { killRows } from './rows/kills.ts';
import { orderRows } from './rows/order.ts';
import { redisRows } from './rows/redis.ts';
import { stoppingRows } from './rows/stopping.ts';
import { surroundingRows } from './rows/surroundings.ts';
import { upgradeRows } from './rows/upgrade.ts';

/** Every row, in the order in which they are run. */
export const rows: readonly Row[] = [
  ...killRows,
  ...frozenRows,
  ...stoppingRows,
  ...apiRows,
  ...redisRows,
  ...surroundingRows,
  ...clockRows,
  ...hostileRows,
  ...orderRows,
  ...jobRows,
  ...upgradeRows,
];

const NOTHING = { events: 0, lost: 0, repeated: 0, seconds: new Map(), notes: [], problems: [], tookMs: 0 };

/** A row of a seed makes the same choices every time; when they fall is up to the machine. */
export function play(
  row: Row,
  seed: number,
  brief: boolean,
  say: (line: string) => void,
): Promise<RowResult> {
  const notRun = row.cannotRun?.();
  if (notRun !== undefined) return Promise.resolve({ ...NOTHING, name: row.name, notRun });
  let mixed = seed >>> 0;
  for (const letter of row.name) mixed = (Math.imul(mixed, 31) + letter.charCodeAt(0)) >>> 0;
  return runRow(row, { random: seededRandom(mixed), brief, say });
}

/** The matrix as a table in Markdown. */
export function table(results: readonly RowResult[]): string {
  const lines = results.map((result) => {
    const times = [...result.seconds].map(([what, s]) => `${what} ${s.toFixed(1)} s`).join(', ');
    if (result.notRun !== undefined) return `| ${result.name} | | | | | NOT RUN |`;
    const held = result.problems.length === 0 ? 'yes' : `NO (${result.problems.length})`;
    return `| ${result.name} | ${result.events} | ${result.lost} | ${result.repeated} | ${times} | ${held} |`;
  });
  return ['| row | events | lost | repeated | times | held |', '|---|---|---|---|---|---|', ...lines].join(
    '\n',
  );
}
