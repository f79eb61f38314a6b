import { hasUserIdForm } from '../../event/user-id.ts';
import type { CommandName } from '../../im/commands.ts';
import type { Attempt } from '../record.ts';
import { textOf, unpackLetter } from './letter-text.ts';

/**
 * Why an event ended here.
 * - `invalid`: the entry does not hold up; it was never sent.
 * - `rejected`: the API refuses this account.
 * - `profile`: the account was imported, its nick or picture was refused.
 * - `expired`: retried until it was too old.
 * - `unknown`: an answer that nobody knows, for this account alone.
 */
export const deadReasons = ['invalid', 'rejected', 'profile', 'expired', 'unknown'] as const;
export type DeadReason = (typeof deadReasons)[number];

/** What the reason means, and what to do about it. */
export const LETTER_ADVICE: Readonly<Record<DeadReason, string>> = {
  invalid: 'the event is not valid and was never sent: correct its producer and push the event again',
  rejected: 'the API refuses the account: remove the cause, then redrive; or push a corrected event',
  profile:
    'the account was imported, but the API refused its nick or picture: push the user with another profile',
  expired: 'the event was retried until it was too old: redrive it once the API answers again',
  unknown: 'the API gave an answer that this version does not know: read its error info, then redrive',
};

/** What is kept of an event that ended here, apart from its state. Never its password. */
export interface Letter {
  readonly eventId: string;
  /** As it came, cut to 200 characters; '' if there was none. */
  readonly userId: string;
  readonly reason: DeadReason;
  /** 0 if the API gave none. */
  readonly errorCode: number;
  readonly errorInfo: string;
  /** 0 if no answer came. */
  readonly httpStatus: number;
  readonly command: CommandName | '';
  readonly event: Readonly<Record<string, string>>;
  /** True when `event` is not all that came (cut, ambiguous, half a field): then it cannot be tried again. */
  readonly partial?: boolean;
  /** Fields that are secret and kept nowhere: a redrive has to be given them. */
  readonly withheld?: readonly string[];
  /** True when the user has an account all the same: it was imported without the refused profile, say. */
  readonly hasAccount?: boolean;
  readonly attempts: readonly Attempt[];
  /** When the event was accepted: the time in its ID, ms since 1970. */
  readonly firstSeenAt: number;
  /** Earliest time at which trying again can succeed; null: any time. */
  readonly notBefore: number | null;
}

/**
 * - `dead`: ended here, and nothing made up for it.
 * - `redriving`: its event is in a call again.
 * - `resolved`: its event, or a newer one of its user, was imported since.
 */
export const letterStates = ['dead', 'redriving', 'resolved'] as const;
export type LetterState = (typeof letterStates)[number];

/** Somebody had a letter tried again. */
export interface Redrive {
  /** ms since 1970, Redis's clock. */
  readonly at: number;
  /** User and machine, as the machine names them. */
  readonly by: string;
}

/** A letter as it is listed. Times in ms since 1970, Redis's clock. */
export interface StoredLetter extends Letter {
  readonly state: LetterState;
  /** Its last death. */
  readonly deadSince: number;
  readonly firstDeadAt: number;
  readonly redrives: readonly Redrive[];
  readonly resolvedAt?: number;
  /** The event whose import made up for it; its own after a redrive. */
  readonly resolvedBy?: string;
}

/** Reads a letter's hash; undefined for one that is gone. Throws when it is no letter. */
export function readLetter(
  eventId: string,
  fields: Readonly<Record<string, string>>,
): StoredLetter | undefined {
  const text = textOf(fields);
  if (text === undefined) return undefined;
  return {
    ...unpackLetter(eventId, text, fields),
    state: fields.state as LetterState,
    deadSince: Number(fields.deadAt),
    firstDeadAt: Number(fields.firstDeadAt ?? fields.deadAt),
    redrives: fields.redrives === undefined ? [] : (JSON.parse(fields.redrives) as Redrive[]),
    ...(fields.resolvedAt !== undefined && { resolvedAt: Number(fields.resolvedAt) }),
    ...(fields.resolvedBy !== undefined && { resolvedBy: fields.resolvedBy }),
  };
}

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
  readonly limit?: number;
}

/** Times of death that a listing which began at `nowMs` takes in: from `fromMs` up to and with `toMs`. */
export interface DeathSpan {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What dies later does not come: the listing would never end, and a redrive would meet its own deaths. */
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

/** What leads to letters: all of a state by time, or the members of an index that begin with one of these prefixes. */
export type LetterIndex = { readonly by: 'user' | 'reason'; readonly prefixes: readonly string[] } | 'time';

/** The index that leads to the letters of a state with the fewest others on the way. */
export function indexOf(filter: LetterFilter, state: LetterState): LetterIndex {
  // Only unresolved letters are indexed by more than time.
  if (state !== 'dead') return 'time';
  const { userId, reason, errorCode } = filter;
  // An ID that is none owns nothing: its letters stand together under no user.
  if (userId !== undefined) return { by: 'user', prefixes: [hasUserIdForm(userId) ? userId : ''] };
  if (errorCode !== undefined) {
    const reasons = reason === undefined ? deadReasons : [reason];
    return { by: 'reason', prefixes: reasons.map((one) => `${one} ${errorCode}`) };
  }
  return reason === undefined ? 'time' : { by: 'reason', prefixes: [reason] };
}
