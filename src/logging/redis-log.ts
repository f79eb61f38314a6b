import { type ConnectionChange, isTurnedAway } from '../redis/connect.ts';
import type { Logger } from './log.ts';

/**
 * Connections do not break in the same millisecond, so an error may come before the change to `lost`. With
 * the connection open, that change comes from the heartbeat, this much later at most.
 */
const EXPLANATION_WITHIN_MS = 3_000;
/** Other connections come back later than the main one. Their errors in this time are not logged. */
const QUIET_AFTER_RETURN_MS = 5_000;
/** The least time between two different errors of one loop, and between two equal ones. */
const ANOTHER_AFTER_MS = 5_000;
const REPEAT_AFTER_MS = 60_000;

/**
 * Logs once that Redis is away and once that it is back. An error of a loop is logged only when it has
 * another cause: a Redis that is away for an hour is two lines, whatever fails and is tried again meanwhile.
 *
 * A lost connection or the heartbeat says that Redis is away. That it is back only the heartbeat says, since
 * a connection that stands again may lead to a replica, or to a server with a full disk.
 */
export function createRedisLog(log: Logger) {
  let awaySinceMs: number | null = null;
  let reachedAtMs: number | null = null;
  let lostBy = '';
  let backAtMs = Number.NEGATIVE_INFINITY;
  let closed = false;

  const leave = (reason: string, sentence = 'Redis is lost; waiting for it'): void => {
    if (awaySinceMs !== null || closed) return;
    awaySinceMs = performance.now();
    log.error({ reason }, sentence);
  };
  const comeBack = (): void => {
    if (awaySinceMs === null || closed) return;
    backAtMs = performance.now();
    const awayMs = Math.round((reachedAtMs ?? backAtMs) - awaySinceMs);
    log.info({ awayMs, ...(lostBy && { connection: lostBy }) }, 'Redis is back');
    lostBy = '';
    awaySinceMs = null;
  };
  const lose = (reason: string): void => {
    const refusal = refusalOf(reason);
    // Redis may first have been silent and then have closed the connection: the return names that reason.
    if (awaySinceMs !== null) lostBy = reason;
    // Usually Redis was restarted, and its loss is logged. That waiting alone does not help is new.
    if (awaySinceMs !== null && isTurnedAway(reason) && !closed)
      log.error({ reason }, refusing(refusal ?? ''));
    leave(reason, refusal && refusing(refusal));
  };

  return {
    /** A change of the main connection, which stands for all. */
    connection(change: ConnectionChange): void {
      reachedAtMs = change.state === 'lost' ? null : performance.now();
      if (change.state === 'lost') lose(change.reason);
    },
    /** What each beat of the heart found: Redis may hang or refuse, although its connections are open. */
    heartbeat(found: 'silent' | 'refuses' | 'answers', refusal = ''): void {
      if (found !== 'answers') reachedAtMs = null;
      if (found === 'answers') comeBack();
      else if (found === 'silent') leave('it does not answer, though its connection stands');
      else leave(refusal, refusing(refusalOf(refusal) ?? 'see the reason'));
    },
    /** The error handler of the loop called `what`. */
    trouble: (what: string) =>
      createTroubleLog(log, what, {
        isClosed: () => closed,
        isExplained: () => awaySinceMs !== null || performance.now() - backAtMs < QUIET_AFTER_RETURN_MS,
      }),
    /** The process stops: what breaks from now on is not logged. */
    close(): void {
      closed = true;
    },
  };
}

/** Logs errors of one loop, but not those that an absence of Redis explains. */
function createTroubleLog(
  log: Logger,
  what: string,
  redis: { readonly isClosed: () => boolean; readonly isExplained: () => boolean },
): (error: Error) => void {
  let last = { reason: '', atMs: Number.NEGATIVE_INFINITY };
  let unsaid = 0;
  const write = (reason: string): void => {
    if (redis.isClosed()) return;
    const sinceMs = performance.now() - last.atMs;
    const isAnother = withoutPauses(reason) !== withoutPauses(last.reason);
    if (redis.isExplained() || sinceMs < (isAnother ? ANOTHER_AFTER_MS : REPEAT_AFTER_MS)) {
      unsaid++;
      log.debug({ reason }, `${what} met an error and goes on`);
      return;
    }
    log.error({ reason, ...(unsaid > 0 && { unsaid }) }, `${what} met an error and goes on`);
    last = { reason, atMs: performance.now() };
    unsaid = 0;
  };
  return (error) => {
    const reason = error.message || String((error as NodeJS.ErrnoException).code ?? error.name);
    const isOfRedis = isOfConnection(error) || refusalOf(reason) !== undefined;
    if (isOfRedis && !redis.isExplained()) setTimeout(() => write(reason), EXPLANATION_WITHIN_MS).unref();
    else write(reason);
  };
}

/** "All sentinels are unreachable. Retrying from scratch after 40ms." is one reason, whatever the pause. */
function withoutPauses(reason: string): string {
  return reason.replace(/\b\d+ ?ms\b/g, '');
}

const refusing = (why: string): string => `Redis refuses to work: ${why}; waiting for it`;

const CODES = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH'];

function isOfConnection({ code = '', message }: NodeJS.ErrnoException): boolean {
  return CODES.includes(code) || /^Connection is closed|ECONN/.test(message);
}

/** Errors by which the whole server refuses, and what to do. Scripts put words of their own around them. */
const REFUSALS: readonly (readonly [code: RegExp, sentence: string])[] = [
  // This one comes first: its text may also hold NOPERM.
  [/database \S+ cannot be used/, 'it does not give the database that was asked for (the reason says why)'],
  [
    /max number of clients/,
    'it has all the connections that its maxclients allows (raise it, or see who holds them)',
  ],
  [/protected mode/, 'it takes local connections only (give it a password, or let it bind to this network)'],
  [/READONLY/, 'it is a replica and takes no writes (see where the Redis settings lead)'],
  [/MISCONF/, 'it cannot write its append-only file or its snapshot (look at its log and its disk)'],
  [/NOREPLICAS/, 'too few replicas follow it (min-replicas-to-write)'],
  [/LOADING/, 'it is still loading its data'],
  [
    /CLUSTERDOWN|Cluster redirections|slots cache|MASTERDOWN|TRYAGAIN|UNBLOCKED/,
    'its cluster has no primary for our keys at present',
  ],
  [/NOPERM/, 'its user may not do what is needed (see the ACL in docs/security.md)'],
  [
    /NOAUTH|WRONGPASS/,
    'it does not take our user and password (see IMSYNC_REDIS_URL and IMSYNC_REDIS_PASSWORD)',
  ],
];

function refusalOf(message: string): string | undefined {
  return REFUSALS.find(([code]) => code.test(message))?.[1];
}
