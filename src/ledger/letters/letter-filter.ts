import { hasUserIdForm } from '../../event/user-id.ts';
import type { DeadReason, LetterState, StoredLetter } from './dead-letters.ts';

/** Which letters are meant; what is absent does not matter. Pure. */
export interface LetterFilter {
  readonly state: LetterState | 'all';
  readonly errorCode?: number;
  readonly reason?: DeadReason;
  readonly userId?: string;
  /** Last death at least so long ago. */
  readonly olderThanMs?: number;
  /** Last death less than this ago. */
  readonly newerThanMs?: number;
  /** As things were at this time: what died later is not meant, and ages are counted from it. */
  readonly asOfMs?: number;
  /** Letters at most. */
  readonly limit?: number;
}

/** Times of death that a listing which began at `nowMs` takes in: from `fromMs` up to and with `toMs`. */
export interface DeathSpan {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What dies after the listing began is not of it: it would never end, and a redrive would meet its own deaths. */
export function deathSpan(filter: LetterFilter, nowMs: number): DeathSpan {
  return {
    fromMs: filter.newerThanMs === undefined ? 0 : Math.max(0, nowMs - filter.newerThanMs + 1),
    toMs: nowMs - (filter.olderThanMs ?? 0),
  };
}

/** Whether a letter, as it stands now, is meant; an index has been a guide only. */
export function isMeant(letter: StoredLetter, filter: LetterFilter, span: DeathSpan): boolean {
  return (
    (filter.state === 'all' || letter.state === filter.state) &&
    (filter.errorCode === undefined || letter.errorCode === filter.errorCode) &&
    (filter.reason === undefined || letter.reason === filter.reason) &&
    (filter.userId === undefined || letter.userId === filter.userId) &&
    letter.deadSince >= span.fromMs &&
    letter.deadSince <= span.toMs
  );
}

/** The index that leads to the letters of a state with the fewest others on the way. */
export type LetterIndex =
  | { readonly by: 'user' | 'code' | 'reason'; readonly prefix: string }
  | { readonly by: 'time'; readonly state: LetterState };

export function indexOf(filter: LetterFilter, state: LetterState): LetterIndex {
  // Only unresolved letters are indexed by more than time.
  if (state !== 'dead') return { by: 'time', state };
  const { userId, reason, errorCode } = filter;
  // An ID that is none owns nothing: its letters stand together under no user.
  if (userId !== undefined) return { by: 'user', prefix: hasUserIdForm(userId) ? userId : '' };
  if (reason !== undefined)
    return { by: 'reason', prefix: errorCode === undefined ? reason : `${reason} ${errorCode}` };
  if (errorCode !== undefined) return { by: 'code', prefix: String(errorCode) };
  return { by: 'time', state };
}
