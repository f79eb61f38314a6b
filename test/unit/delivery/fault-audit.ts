import {
  type Kind,
  type Letter,
  mayPass,
  namesTheCause,
  type Played,
  type UserFault,
  userOf,
} from './fault-model.ts';

/** What a play came to, in the figures that the promises are about. Times are ms. */
export interface Audit {
  /** Innocent users who ended in a letter. */
  readonly buried: readonly string[];
  /** Longest until an innocent user was imported, since their signup or the end of what everybody had. */
  readonly waitedMs: number;
  /** Longest hold while an innocent user waited and not everybody failed. */
  readonly heldMs: number;
  /** Calls that were not of a culprit alone, for each record that was cut and each call that one culprit may cost. */
  readonly callsShare: number;
  /** Most calls of one culprit alone in a minute, after the first. */
  readonly retriesPerMinute: number;
  /** Calls while everybody failed. */
  readonly inWindow: number;
  /** What is wrong with the end of culprits. */
  readonly wrong: readonly string[];
}

/** Calls to find one user in a hundred: five parts, five of those, four users (split.ts). */
export const SPLIT_CALLS = 14;
/** An innocent user who signed up just before the end of a play may wait still. */
const LATE_MS = 60_000;
const MINUTE_MS = 60_000;

export function audit(played: Played, maxAgeMs: number): Audit {
  const { play, importedMs, letters, pushedMs, calls, holds, endMs } = played;
  const culprits = new Map(play.culprits.flatMap((fault) => fault.users.map((n) => [userOf(n), fault])));
  const innocent = [...pushedMs.keys()].filter((userId) => !culprits.has(userId));
  const windowFromMs = play.window?.fromMs ?? 0;
  const windowToMs = windowFromMs + (play.window?.forMs ?? 0);
  const waits = innocent
    .filter((userId) => !letters.has(userId))
    .map((userId) => ({ fromMs: pushedMs.get(userId) ?? 0, toMs: importedMs.get(userId) ?? endMs }))
    .filter(({ fromMs, toMs }) => toMs < endMs || fromMs < endMs - LATE_MS);
  const waited = (fromMs: number, toMs: number): number =>
    toMs - (toMs > windowFromMs && fromMs < windowToMs ? Math.min(toMs, windowToMs) : fromMs);
  const buried = innocent.flatMap((userId) => {
    const letter = letters.get(userId);
    if (letter === undefined || endsAsLone(played, letter)) return [];
    return [`${userId} ${letter.reason} at ${Math.round(letter.atMs)}`];
  });
  const held = holds.map(({ fromMs, toMs }) => {
    const lastMs = Math.max(0, ...waits.filter((wait) => wait.fromMs < toMs).map((wait) => wait.toMs));
    return waited(fromMs, Math.max(fromMs, Math.min(toMs, endMs, lastMs)));
  });
  const alone = calls.filter(({ users }) => users.length === 1 && culprits.has(users[0] ?? ''));
  const records = 1 + pushedMs.size;
  const inWindow = calls.filter(({ by }) => by === 'time');
  return {
    buried,
    waitedMs: Math.max(0, ...waits.map(({ fromMs, toMs }) => waited(fromMs, toMs))),
    heldMs: Math.max(0, ...held),
    callsShare:
      (calls.length - alone.length - inWindow.length) / (records + SPLIT_CALLS * (1 + culprits.size)),
    retriesPerMinute: play.signupsMs === 0 ? 0 : mostPerMinute(alone),
    inWindow: inWindow.length,
    wrong: [...culprits].flatMap(([userId, fault]) => wrongEnd(played, userId, fault, maxAgeMs)),
  };
}

function mostPerMinute(alone: Played['calls']): number {
  const byUser = new Map<string, number[]>();
  for (const { users, atMs } of alone) {
    const [userId = ''] = users;
    byUser.set(userId, [...(byUser.get(userId) ?? []), atMs]);
  }
  return Math.max(
    0,
    ...[...byUser.values()].flatMap((times) =>
      times
        .filter((ms) => ms > MINUTE_MS + (times[0] ?? 0))
        .map((ms) => times.filter((other) => other >= ms && other < ms + MINUTE_MS).length),
    ),
  );
}

/** A culprit whose fault lasts ends by it; one whose fault may pass is tried, alone, until the event is too old. */
function wrongEnd(played: Played, userId: string, { kind, by }: UserFault, maxAgeMs: number): string[] {
  const { letters, accounts, pushedMs, play, endMs } = played;
  const letter = letters.get(userId);
  const end = `${userId} ${kind} by ${by}: ${letter?.reason ?? 'open'} at ${Math.round(letter?.atMs ?? endMs)}, ${accounts.has(userId) ? 'with' : 'without'} account`;
  if (letter === undefined) {
    if (play.signupsMs === 0) return [];
    return mayPass(kind) && endMs < maxAgeMs ? [] : [end];
  }
  // With nobody else calling, everybody's answer that is the culprit's own may end them, even for the call without a profile.
  if (endsAsLone(played, letter) || (letter.isLone && play.window?.kind === kind)) return [];
  const ageMs = letter.atMs - (pushedMs.get(userId) ?? 0);
  const tooEarly = mayPass(kind) && ageMs < maxAgeMs;
  const reasons = reasonsOf(kind, by);
  const keepsAccount = letter.reason !== 'profile' || accounts.has(userId);
  // Nobody could be compared with for so long, or chance was too great to tell.
  const isTooOld = letter.reason === 'expired' && ageMs >= maxAgeMs;
  return tooEarly || (!isTooOld && !reasons.includes(letter.reason)) || !keepsAccount ? [end] : [];
}

function reasonsOf(kind: Kind, by: UserFault['by']): readonly string[] {
  if (namesTheCause(kind)) return kind === '70402 body' || by === 'account' ? ['rejected'] : ['profile'];
  if (by === 'profile') return ['profile'];
  return mayPass(kind) ? ['expired'] : ['unknown'];
}

/**
 * A user whom nobody can be compared with ends by an answer that no table knows, after four times (decide.ts). The fourth may
 * come at the end of a window: then the account passes without its profile.
 */
function endsAsLone({ play: { window, chance } }: Played, { isLone, reason }: Letter): boolean {
  const isUnlisted = window?.kind === '79999 unlisted' || (chance.p > 0 && chance.kind === '79999 unlisted');
  return isUnlisted && isLone && (reason === 'unknown' || reason === 'profile');
}
