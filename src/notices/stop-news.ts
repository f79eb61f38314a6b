import type { Hold, Pause } from '../hold/hold-state.ts';
import { HOLD_ADVICE } from '../logging/hold-log.ts';
import { countText, type News, shortened, spanText, timeText } from './notice.ts';
import { elapsedMs, remindersDue } from './spacing.ts';

/** What is told of a hold and of a pause. Times in ms since 1970, Redis's clock. Pure. */

/** A hold that is shorter is told of in the log alone. */
const HOLD_LASTS_MS = 5_000;
/** Calls go on for so long before a hold is told to be over: it may come back at once. */
const OVER_LASTS_MS = 15_000;
/** After a hold was told: no other one of that kind, and no other kind, is told earlier. */
const SAME_KIND_AFTER_MS = 300_000;
const OTHER_KIND_AFTER_MS = 60_000;
const INFO_CHARS = 300;

/** A hold that was told, and whose end was not. */
export interface ToldHold {
  readonly kind: string;
  readonly since: number;
  readonly firstToldAt: number;
  readonly toldAt: number;
  readonly reminders: number;
  /** Calls have been going on since then, with so many events left to import. */
  readonly over: { readonly at: number; readonly waiting: number } | null;
}

/** What was told last of holds. */
export interface ToldHolds {
  readonly open: ToldHold | null;
  readonly last: { readonly kind: string; readonly toldAt: number } | null;
}

export interface ToldPause {
  readonly since: number;
  readonly firstToldAt: number;
  readonly reminders: number;
}

interface SeenFleet {
  readonly nowMs: number;
  readonly hold: Hold | null;
  readonly pause: Pause | null;
  /** Events that have not ended. */
  readonly waiting: number;
}

export function holdNews(told: ToldHolds, seen: SeenFleet): [ToldHolds, News[]] {
  const { nowMs, hold, waiting } = seen;
  const { open, last } = told;
  if (hold === null) {
    if (open === null) return [told, []];
    const over = open.over ?? { at: nowMs, waiting };
    if (elapsedMs(over.at, nowMs) < OVER_LASTS_MS) return [{ ...told, open: { ...open, over } }, []];
    return [{ open: null, last: { kind: open.kind, toldAt: open.toldAt } }, [holdOver(open, over, nowMs)]];
  }
  const lasts = elapsedMs(hold.since, nowMs) >= HOLD_LASTS_MS;
  if (open === null) {
    const gapMs = last?.kind === hold.kind ? SAME_KIND_AFTER_MS : OTHER_KIND_AFTER_MS;
    if (!lasts || (last !== null && elapsedMs(last.toldAt, nowMs) < gapMs)) return [told, []];
    const begun: ToldHold = {
      ...{ kind: hold.kind, since: hold.since, firstToldAt: nowMs, toldAt: nowMs, reminders: 0, over: null },
    };
    return [{ ...told, open: begun }, [held(hold, seen, 'All calls are held')]];
  }
  const still: ToldHold = { ...open, over: null };
  if (hold.kind !== open.kind && lasts && elapsedMs(open.toldAt, nowMs) >= OTHER_KIND_AFTER_MS) {
    const changed = { ...still, kind: hold.kind, toldAt: nowMs };
    return [{ ...told, open: changed }, [held(hold, seen, 'All calls are held, now for another reason')]];
  }
  const reminders = remindersDue(open.firstToldAt, nowMs);
  if (reminders <= open.reminders) return [{ ...told, open: still }, []];
  const begin = `All calls are still held after ${spanText(nowMs - open.since)}`;
  return [{ ...told, open: { ...still, reminders } }, [held(hold, seen, begin)]];
}

function held(hold: Hold, { nowMs, waiting }: SeenFleet, begin: string): News {
  const { kind, errorCode, since } = hold;
  const errorInfo = shortened(hold.errorInfo, INFO_CHARS);
  const advice = HOLD_ADVICE[kind] ?? 'See imsync status.';
  return {
    kind: 'hold',
    at: nowMs,
    title: `${begin}: ${kind}${errorCode === 0 ? '' : ` (${errorCode})`}`,
    text: [
      `Held since ${timeText(since)}. The last answer: ${[errorCode || '', errorInfo].join(' ').trim()}`,
      `${countText(waiting, 'event')} not ended yet; none is lost.`,
      `${advice} Probes find the recovery by themselves.`,
    ].join('\n'),
    facts: { kind, errorCode, errorInfo, since, waiting },
  };
}

function holdOver(open: ToldHold, over: { at: number; waiting: number }, nowMs: number): News {
  const { kind, since } = open;
  const lastedMs = Math.max(0, over.at - since);
  return {
    kind: 'hold-over',
    at: nowMs,
    title: `The hold is over, calls go on: ${kind}`,
    text:
      `Held from ${timeText(since)} to ${timeText(over.at)}, when its end was noticed: ${spanText(lastedMs)}. ` +
      `${countText(over.waiting, 'event')} had not ended by then.`,
    facts: { kind, since, until: over.at, lastedMs, waiting: over.waiting },
  };
}

export function pauseNews(told: ToldPause | null, seen: SeenFleet): [ToldPause | null, News[]] {
  const { nowMs, pause, waiting } = seen;
  if (pause === null) return [null, told === null ? [] : [resumed(told, seen)]];
  const { reason, since, by } = pause;
  const isNew = told === null || told.since !== since;
  const firstToldAt = isNew ? nowMs : told.firstToldAt;
  const reminders = remindersDue(firstToldAt, nowMs);
  const next: ToldPause = { since, firstToldAt, reminders };
  if (!isNew && reminders <= told.reminders) return [next, []];
  const why = shortened(reason, INFO_CHARS);
  // An earlier version did not note who.
  const who = shortened(by ?? '', INFO_CHARS);
  const paused: News = {
    kind: 'paused',
    at: nowMs,
    title: isNew ? 'An operator has paused all calls' : `Still paused after ${spanText(nowMs - since)}`,
    text: [
      `Paused since ${timeText(since)}${who === '' ? '' : ` by ${who}`}${why === '' ? '' : `: ${why}`}.`,
      `${countText(waiting, 'event')} not ended yet; none is lost. To go on: imsync resume`,
    ].join('\n'),
    facts: { reason: why, by: who, since, waiting },
  };
  return [next, [paused]];
}

function resumed({ since }: ToldPause, { nowMs, waiting }: SeenFleet): News {
  return {
    kind: 'resumed',
    at: nowMs,
    title: 'An operator has resumed the calls',
    text: `Paused from ${timeText(since)} for ${spanText(nowMs - since)}. ${countText(waiting, 'event')} not ended yet.`,
    facts: { since, until: nowMs, waiting },
  };
}
