import type { RedriveRun } from '../ledger/letters/redrive-history.ts';
import type { NotedImport } from '../tasks/backfill/import-history.ts';
import type { Tally } from '../tasks/backfill/stream-writer.ts';
import { underWay } from '../tasks/backfill/stream-writer.ts';
import { countText, type News, numberText, shortened, timeText } from './notice.ts';
import { elapsedMs } from './spacing.ts';

/** What is told of redrives and imports that ended. Times in ms, Redis's clock. Pure. */

/** An import is told when its events have ended; or this long after its last row, with what has. */
const EVENTS_END_WITHIN_MS = 600_000;
const NAME_CHARS = 120;

/** When each redrive of the history ended that was told. One that is resumed ends once more. */
export type ToldRedrives = Readonly<Record<string, number>>;

export interface ImportOutcome {
  readonly ended: NotedImport;
  readonly tally: Tally;
}

export function redriveNews(
  told: ToldRedrives,
  runs: readonly RedriveRun[],
  nowMs: number,
): [ToldRedrives, News[]] {
  const ended = runs.filter(({ state }) => state !== 'running').sort((a, b) => endOf(a) - endOf(b));
  const news = ended.filter((run) => told[run.id] !== endOf(run)).map((run) => redriven(run, nowMs));
  return [Object.fromEntries(ended.map((run) => [run.id, endOf(run)])), news];
}

/** A run whose process was killed ended with its last sign of life. */
function endOf({ endedAt, seenAt }: RedriveRun): number {
  return endedAt ?? seenAt;
}

function redriven(run: RedriveRun, nowMs: number): News {
  const { id, by, state, why, letters, users, calls, imported, failed } = run;
  const resume = state === 'done' ? '' : ` To go on: imsync dlq redrive --resume ${id}`;
  return {
    kind: 'redrive',
    at: nowMs,
    title: `Redrive ${id} ended: ${state}${why === null ? '' : ` (${shortened(why, NAME_CHARS)})`}`,
    text: [
      `By ${shortened(by, NAME_CHARS)}, until ${timeText(endOf(run))}: ${countText(letters, 'letter')} of ${countText(users, 'user')} in ${countText(calls, 'call')}.`,
      `At its end ${countText(imported, 'user')} were imported and ${numberText(failed)} were dead again.${resume}`,
    ].join('\n'),
    facts: { id, state, why, letters, users, calls, imported, failed },
  };
}

/** `told`: the ID of the last import that was told. They are told in order. */
export function importNews(
  told: string,
  outcomes: readonly ImportOutcome[],
  nowMs: number,
): [string, News[]] {
  const firstOpen = outcomes.findIndex(
    ({ ended, tally }) => underWay(tally) > 0 && elapsedMs(ended.endedAt, nowMs) < EVENTS_END_WITHIN_MS,
  );
  const ready = firstOpen < 0 ? outcomes : outcomes.slice(0, firstOpen);
  return [ready.at(-1)?.ended.id ?? told, ready.map((outcome) => imported(outcome, nowMs))];
}

function imported({ ended, tally }: ImportOutcome, nowMs: number): News {
  const { state, counts, endedAt } = ended;
  const file = ended.file === '-' ? 'standard input' : shortened(ended.file, NAME_CHARS);
  const { rows, added, there, rejected, unasked } = counts;
  const open = underWay(tally);
  const goOn = state === 'done' ? '' : ' The same command goes on from there.';
  return {
    kind: 'import',
    at: nowMs,
    title: `The import of ${file} ended: ${state}`,
    text: [
      `Until ${timeText(endedAt)}: ${countText(rows, 'row')}: ${numberText(added)} added, ${numberText(there)} had an account, ${numberText(rejected + unasked)} rejected.${goOn}`,
      `Of ${countText(tally.accepted, 'event')} ${numberText(tally.imported)} were imported, ${numberText(tally.superseded)} superseded, ${numberText(tally.deadLettered)} dead-lettered; ${numberText(open)} are under way.`,
    ].join('\n'),
    facts: { file, state, ...counts, outcome: { ...tally, underWay: open } },
  };
}
