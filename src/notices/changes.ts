import type { Hold, Pause } from '../hold/hold-state.ts';
import type { RedriveRun } from '../ledger/letters/redrive-history.ts';
import { lettersNews, oldestNews, type ToldLetters, type ToldOldest } from './event-news.ts';
import type { News } from './notice.ts';
import { holdNews, pauseNews, type ToldHolds, type ToldPause } from './stop-news.ts';
import { type ImportOutcome, importNews, redriveNews, type ToldRedrives } from './task-news.ts';

/** The state of the fleet at one look. Times in ms since 1970, Redis's clock. */
export interface Seen {
  readonly nowMs: number;
  readonly hold: Hold | null;
  readonly pause: Pause | null;
  /** Events that have not ended. */
  readonly waiting: number;
  readonly oldestUnfinishedMs: number | null;
  readonly deadByReason: Readonly<Record<string, number>>;
  readonly deadByCode: Readonly<Record<string, number>>;
  /** Undefined at a look that leaves them out. */
  readonly tasks:
    | { readonly redrives: readonly RedriveRun[]; readonly imports: readonly ImportOutcome[] }
    | undefined;
}

/** What was told last: told means put into the outbox, not delivered. It stands in Redis, so that no restart repeats or forgets anything. */
export interface Told {
  readonly holds: ToldHolds;
  readonly pause: ToldPause | null;
  readonly letters: ToldLetters;
  readonly oldest: ToldOldest;
  readonly redrives: ToldRedrives;
  /** The ID of the last import that was told. */
  readonly imports: string;
}

/**
 * Before the first look of all. What is so at that look is told, but not what has happened before: letters
 * that are there, and redrives and imports that have ended.
 */
export function nothingTold(
  { nowMs, deadByReason, deadByCode }: Seen,
  redrives: readonly RedriveRun[],
): Told {
  return {
    holds: { open: null, last: null },
    pause: null,
    letters: { byReason: deadByReason, byCode: deadByCode, since: null, toldAt: null },
    oldest: { runningSince: 0, open: null, lastToldAt: null },
    redrives: redriveNews({}, redrives, nowMs)[0],
    imports: `${nowMs}-0`,
  };
}

/** What is new since the last look, and what is told then. Pure. */
export function changes(told: Told, seen: Seen, oldestAfterMs: number): { told: Told; news: News[] } {
  const { nowMs, tasks } = seen;
  const isStopped = seen.hold !== null || seen.pause !== null;
  const [holds, ofHold] = holdNews(told.holds, seen);
  const [pause, ofPause] = pauseNews(told.pause, seen);
  const [letters, ofLetters] = lettersNews(told.letters, seen);
  const [oldest, ofOldest] = oldestNews(told.oldest, { ...seen, isStopped }, oldestAfterMs);
  const [redrives, ofRedrives] = tasks
    ? redriveNews(told.redrives, tasks.redrives, nowMs)
    : [told.redrives, []];
  const [imports, ofImports] = tasks ? importNews(told.imports, tasks.imports, nowMs) : [told.imports, []];
  return {
    told: { holds, pause, letters, oldest, redrives, imports },
    news: [...ofHold, ...ofPause, ...ofLetters, ...ofOldest, ...ofRedrives, ...ofImports],
  };
}
