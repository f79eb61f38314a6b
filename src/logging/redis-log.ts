import type { ConnectionChange } from '../redis/connect.ts';
import { isDatabaseRefused } from '../redis/database.ts';
import type { Logger } from './log.ts';

/**
 * Connections do not break in the same millisecond, so an error may come before the change to `lost`. With
 * the connection open, that change comes from the heartbeat, this much later at most.
 */
const EXPLANATION_WITHIN_MS = 3_000;
/**
 * A connection that led to a replica stands again. The heartbeat knows after two beats at most whether it now
 * leads to a primary. "Redis is back" is not logged before, or each try would be two lines.
 */
const PROVEN_AFTER_MS = 5_000;
/** Other connections come back later than the main one. Their errors in this time are not logged. */
const QUIET_AFTER_RETURN_MS = 5_000;
/** The least time between two different errors of one loop, and between two equal ones. */
const ANOTHER_AFTER_MS = 5_000;
const REPEAT_AFTER_MS = 60_000;

/** The clock of a RedisLog; a test brings its own. */
interface LogClock {
  readonly nowMs: () => number;
  readonly after: (ms: number, then: () => void) => void;
}

const realClock: LogClock = {
  nowMs: () => performance.now(),
  after: (ms, then) => void setTimeout(then, ms).unref(),
};

/**
 * Logs once that Redis is away and once that it is back. An error of a loop is logged only when it has
 * another cause: a Redis that is away for an hour is two lines, whatever fails and is tried again meanwhile.
 */
export function createRedisLog(log: Logger, clock: LogClock = realClock) {
  const { nowMs, after } = clock;
  let awaySinceMs: number | null = null;
  let isLost = false;
  let lostBy = '';
  let isRefusing = false;
  /** Set when the connection was lost because it led to a replica; another one at each loss. */
  let demotion: symbol | undefined;
  let backAtMs = Number.NEGATIVE_INFINITY;
  let closed = false;

  const leave = (reason: string, sentence = 'Redis is lost; waiting for it'): void => {
    if (awaySinceMs !== null || closed) return;
    awaySinceMs = nowMs();
    log.error({ reason }, sentence);
  };
  const comeBack = (sinceMs = nowMs()): void => {
    if (awaySinceMs === null || closed) return;
    backAtMs = nowMs();
    // Redis may first have been silent and then have closed the connection: the return names that reason.
    const fields = { awayMs: Math.round(sinceMs - awaySinceMs), ...(lostBy && { connection: lostBy }) };
    log.info(fields, 'Redis is back');
    lostBy = '';
    awaySinceMs = null;
  };
  const lose = (reason: string): void => {
    const refusal = refusalOf(reason);
    // A connection that stands has its database, so this refusal needs no proof of its end.
    const isOfDatabase = isDatabaseRefused(reason);
    demotion = refusal === undefined || isOfDatabase ? undefined : Symbol();
    if (awaySinceMs !== null && !isRefusing) lostBy = reason;
    // Usually Redis was restarted, and its loss is logged. That waiting alone does not help is new.
    if (awaySinceMs !== null && isOfDatabase && !closed) log.error({ reason }, refusing(refusal ?? ''));
    leave(reason, refusal && refusing(refusal));
  };
  const reach = (): void => {
    // It may still be a replica, or have a full disk: the heartbeat says when that ends.
    if (isRefusing) return;
    if (demotion === undefined) {
      comeBack();
      return;
    }
    const [mine, sinceMs] = [demotion, nowMs()];
    after(PROVEN_AFTER_MS, () => {
      if (mine === demotion && !isRefusing) comeBack(sinceMs);
    });
  };

  return {
    /** A change of the main connection, which stands for all. */
    connection(change: ConnectionChange): void {
      isLost = change.state === 'lost';
      if (change.state === 'lost') lose(change.reason);
      else reach();
    },
    /** A change that the heartbeat found: Redis hangs or refuses, although its connections are open. */
    heartbeat(change: 'silent' | 'refuses' | 'answers', refusal = ''): void {
      isRefusing = change === 'refuses';
      if (isRefusing) leave(refusal, refusing(refusalOf(refusal) ?? 'see the reason'));
      else if (change === 'silent') leave('it does not answer, though its connection stands');
      else if (!isLost) comeBack();
    },
    /** The error handler of the loop called `what`. */
    trouble: (what: string) =>
      createTroubleLog(log, clock, what, {
        isClosed: () => closed,
        isExplained: () => awaySinceMs !== null || nowMs() - backAtMs < QUIET_AFTER_RETURN_MS,
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
  { nowMs, after }: LogClock,
  what: string,
  redis: { readonly isClosed: () => boolean; readonly isExplained: () => boolean },
): (error: Error) => void {
  let last = { reason: '', atMs: Number.NEGATIVE_INFINITY };
  let unsaid = 0;
  const write = (reason: string): void => {
    if (redis.isClosed()) return;
    const sinceMs = nowMs() - last.atMs;
    if (redis.isExplained() || sinceMs < (reason === last.reason ? REPEAT_AFTER_MS : ANOTHER_AFTER_MS)) {
      unsaid++;
      log.debug({ reason }, `${what} met an error and goes on`);
      return;
    }
    log.error({ reason, ...(unsaid > 0 && { unsaid }) }, `${what} met an error and goes on`);
    last = { reason, atMs: nowMs() };
    unsaid = 0;
  };
  return (error) => {
    const reason = error.message || String((error as NodeJS.ErrnoException).code ?? error.name);
    const isOfRedis = isOfConnection(error) || refusalOf(reason) !== undefined;
    if (isOfRedis && !redis.isExplained()) after(EXPLANATION_WITHIN_MS, () => write(reason));
    else write(reason);
  };
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
