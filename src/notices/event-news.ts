import { type DeadReason, LETTER_ADVICE } from '../ledger/letters/dead-letters.ts';
import { countText, type News, numberText, spanText, timeText } from './notice.ts';
import { elapsedMs, remindersDue } from './spacing.ts';

/** What is told of dead letters and of events that do not end. Times in ms, Redis's clock. Pure. */

type Counts = Readonly<Record<string, number>>;

/** New letters wait for others to join them, and then for the last notice of letters to be so old. */
const LETTERS_GATHER_MS = 10_000;
const LETTERS_EVERY_MS = 600_000;
const MOST_CODES = 8;
/** After a notice of an unfinished event: no other one begins earlier. */
const OLDEST_AFTER_MS = 300_000;

export interface ToldLetters {
  /** Unresolved letters that need not be told any more. */
  readonly byReason: Counts;
  readonly byCode: Counts;
  /** Since when there are others. */
  readonly since: number | null;
  /** When a notice of letters last went into the outbox. */
  readonly toldAt: number | null;
}

interface SeenLetters {
  readonly nowMs: number;
  readonly deadByReason: Counts;
  readonly deadByCode: Counts;
}

/**
 * A letter that was resolved or deleted lowers what is known, so that the next one counts as new. One that
 * comes and goes between two looks is not told.
 */
export function lettersNews(told: ToldLetters, seen: SeenLetters): [ToldLetters, News[]] {
  const { nowMs, deadByReason, deadByCode } = seen;
  const byReason = leastOf(told.byReason, deadByReason);
  const byCode = leastOf(told.byCode, deadByCode);
  const fresh = increase(byReason, deadByReason);
  if (sum(fresh) === 0) return [{ ...told, byReason, byCode, since: null }, []];
  const since = told.since ?? nowMs;
  const isDue =
    elapsedMs(since, nowMs) >= LETTERS_GATHER_MS &&
    (told.toldAt === null || elapsedMs(told.toldAt, nowMs) >= LETTERS_EVERY_MS);
  if (!isDue) return [{ ...told, byReason, byCode, since }, []];
  const next = { byReason: deadByReason, byCode: deadByCode, since: null, toldAt: nowMs };
  return [next, [newLetters(fresh, increase(byCode, deadByCode), sum(deadByReason), nowMs)]];
}

function newLetters(byReason: Counts, byCode: Counts, unresolved: number, nowMs: number): News {
  const reasons = Object.entries(byReason).map(
    ([reason, count]) =>
      `${numberText(count)} ${reason}: ${LETTER_ADVICE[reason as DeadReason] ?? 'see imsync dlq'}.`,
  );
  const codes = Object.entries(byCode).sort(([, a], [, b]) => b - a);
  const named = codes
    .slice(0, MOST_CODES)
    .map(([code, n]) => `${code === '0' ? 'none' : code} (${numberText(n)})`);
  const more = codes.length > MOST_CODES ? ', and others' : '';
  return {
    kind: 'letters',
    at: nowMs,
    title: `${countText(sum(byReason), 'new dead letter')}, ${numberText(unresolved)} unresolved in all`,
    text: [...reasons, `By error code: ${named.join(', ')}${more}. See imsync dlq.`].join('\n'),
    facts: { byReason, byCode, unresolved },
  };
}

function leastOf(known: Counts, now: Counts): Counts {
  return Object.fromEntries(Object.entries(now).map(([name, n]) => [name, Math.min(n, known[name] ?? 0)]));
}

function increase(known: Counts, now: Counts): Counts {
  const grown = Object.entries(now).map(([name, n]) => [name, n - (known[name] ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, n]) => n > 0));
}

function sum(counts: Counts): number {
  return Object.values(counts).reduce((all, n) => all + n, 0);
}

export interface ToldOldest {
  /** Since when calls are neither held nor paused; null while they are. */
  readonly runningSince: number | null;
  /** An unfinished event was told, and its end was not. */
  readonly open: { readonly firstToldAt: number; readonly reminders: number } | null;
  readonly lastToldAt: number | null;
}

interface SeenOldest {
  readonly nowMs: number;
  readonly isStopped: boolean;
  readonly oldestUnfinishedMs: number | null;
}

/**
 * Time in which calls are held or paused does not count: that is told by itself, and what has waited then
 * gets the bound once more to end.
 */
export function oldestNews(told: ToldOldest, seen: SeenOldest, boundMs: number): [ToldOldest, News[]] {
  const { nowMs, isStopped, oldestUnfinishedMs } = seen;
  if (isStopped) return [{ ...told, runningSince: null }, []];
  const runningSince = told.runningSince ?? nowMs;
  const running = { ...told, runningSince };
  const ageMs = oldestUnfinishedMs ?? 0;
  const isOld = Math.min(ageMs, elapsedMs(runningSince, nowMs)) >= boundMs;
  const { open, lastToldAt } = told;
  if (open === null) {
    if (!isOld || (lastToldAt !== null && elapsedMs(lastToldAt, nowMs) < OLDEST_AFTER_MS))
      return [running, []];
    const begun = { firstToldAt: nowMs, reminders: 0 };
    return [{ runningSince, open: begun, lastToldAt: nowMs }, [unfinished(ageMs, boundMs, nowMs)]];
  }
  if (ageMs < boundMs) return [{ ...running, open: null }, [allWell(ageMs, boundMs, nowMs)]];
  const reminders = remindersDue(open.firstToldAt, nowMs);
  if (reminders <= open.reminders) return [running, []];
  return [{ ...running, open: { ...open, reminders } }, [unfinished(ageMs, boundMs, nowMs)]];
}

function unfinished(ageMs: number, boundMs: number, nowMs: number): News {
  return {
    kind: 'oldest',
    at: nowMs,
    title: `The oldest event has not ended for ${spanText(ageMs)}`,
    text: [
      `It was accepted at ${timeText(nowMs - ageMs)}; the bound is ${spanText(boundMs)}. Calls are made all the same.`,
      'imsync status shows throttles, and users whose calls fail while others pass. Or more events come than the quota takes.',
    ].join('\n'),
    facts: { ageMs, boundMs },
  };
}

function allWell(ageMs: number, boundMs: number, nowMs: number): News {
  return {
    kind: 'oldest-over',
    at: nowMs,
    title: `No event is older than ${spanText(boundMs)} any more`,
    text: ageMs === 0 ? 'All events have ended.' : `The oldest one was accepted ${spanText(ageMs)} ago.`,
    facts: { ageMs, boundMs },
  };
}
