import type { ConnectionChange } from '../redis/connect.ts';
import { isDatabaseRefused } from '../redis/database.ts';
import type { Logger } from './log.ts';

/**
 * Says once that Redis is away and once that it is back, and lets through the troubles of the loops that have
 * another cause: a Redis that is away for an hour is two lines, whatever fails and retries meanwhile.
 */
export interface RedisLog {
  /** Of the connection that stands for all. */
  connection(change: ConnectionChange): void;
  /** Of the heartbeat: Redis stands still, or refuses, with its connections open. */
  heartbeat(change: 'silent' | 'refuses' | 'answers', silentMs?: number, refusal?: string): void;
  /** A hearer of errors for the loop called `what`. */
  trouble(what: string): (error: Error) => void;
  /** The process stops: nothing that breaks from now on is news. */
  close(): void;
}

/**
 * Connections do not break in the same millisecond: an error may come before the word that Redis is lost, which the
 * heartbeat brings at last when the connection stands.
 */
const HOLD_BACK_MS = 3_000;
/**
 * A connection that led to a replica was made anew, and stands: whether to a primary the heartbeat knows, after two
 * beats at the latest. Until then it is not said that Redis is back, or each look at the same replica would be a change.
 */
const PROVEN_AFTER_MS = 5_000;
/** Nor do they come back together. */
const QUIET_AFTER_RETURN_MS = 5_000;
/** Another trouble of the same loop, and the same one again. */
const ANOTHER_AFTER_MS = 5_000;
const REPEAT_AFTER_MS = 60_000;

export function createRedisLog(
  log: Logger,
  clock: {
    readonly nowMs: () => number;
    readonly after: (ms: number, then: () => void) => void;
  } = realClock,
): RedisLog {
  const { nowMs, after } = clock;
  let awaySinceMs: number | null = null;
  let isLost = false;
  let lostBy = '';
  let isRefusing = false;
  /** Set when the connection was lost last because it led to a replica; another one at each loss. */
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
    // One that fell silent first, and was given up then: what came of it is told with the return.
    log.info(
      { awayMs: Math.round(sinceMs - awaySinceMs), ...(lostBy && { connection: lostBy }) },
      'Redis is back',
    );
    lostBy = '';
    awaySinceMs = null;
  };
  const explained = (): boolean => awaySinceMs !== null || nowMs() - backAtMs < QUIET_AFTER_RETURN_MS;

  const trouble = (what: string): ((error: Error) => void) => {
    let last = { reason: '', atMs: Number.NEGATIVE_INFINITY };
    let unsaid = 0;
    const say = (reason: string): void => {
      if (closed) return;
      const sinceMs = nowMs() - last.atMs;
      if (explained() || sinceMs < (reason === last.reason ? REPEAT_AFTER_MS : ANOTHER_AFTER_MS)) {
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
      if ((isOfConnection(error) || refusalOf(reason) !== undefined) && !explained())
        after(HOLD_BACK_MS, () => say(reason));
      else say(reason);
    };
  };

  return {
    connection(change) {
      isLost = change.state === 'lost';
      if (change.state === 'lost') {
        const refusal = refusalOf(change.reason);
        // A connection that stands is in its database: that is proof enough.
        const isOfDatabase = isDatabaseRefused(change.reason);
        demotion = refusal === undefined || isOfDatabase ? undefined : Symbol();
        if (awaySinceMs !== null && !isRefusing) lostBy = change.reason;
        // It was restarted, as a rule, and said to be lost: that waiting alone brings nothing back is news.
        if (awaySinceMs !== null && isOfDatabase && !closed)
          log.error({ reason: change.reason }, refusing(refusal ?? ''));
        leave(change.reason, refusal && refusing(refusal));
        return;
      }
      // It may be a replica still, or without its disk.
      if (isRefusing) return;
      if (demotion === undefined) return comeBack();
      const [mine, sinceMs] = [demotion, nowMs()];
      after(PROVEN_AFTER_MS, () => {
        if (mine === demotion && !isRefusing) comeBack(sinceMs);
      });
    },
    heartbeat(change, _silentMs, refusal = '') {
      isRefusing = change === 'refuses';
      if (isRefusing) leave(refusal, refusing(refusalOf(refusal) ?? 'see the reason'));
      else if (change === 'silent') leave('it does not answer, though its connection stands');
      else if (!isLost) comeBack();
    },
    trouble,
    close() {
      closed = true;
    },
  };
}

const refusing = (why: string): string => `Redis refuses to work: ${why}; waiting for it`;

const CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
]);

function isOfConnection(error: Error): boolean {
  return (
    CODES.has((error as NodeJS.ErrnoException).code ?? '') ||
    /^Connection is closed|ECONN/.test(error.message)
  );
}

/** Errors by which the server as a whole refuses, and what to do; scripts wrap them in words of their own. */
const REFUSALS: readonly (readonly [code: RegExp, sentence: string])[] = [
  // Before the right that may be missing for it.
  [/database \S+ cannot be used/, 'it does not give the database that was asked for (the reason says why)'],
  [/READONLY/, 'it is a replica and takes no writes (see where the Redis settings lead)'],
  [/MISCONF/, 'it cannot write its append-only file or its snapshot (look at its log and its disk)'],
  [/NOREPLICAS/, 'too few replicas follow it (min-replicas-to-write)'],
  [/LOADING|BUSYLOADING/, 'it is still loading its data'],
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

const realClock = {
  nowMs: () => performance.now(),
  after: (ms: number, then: () => void) => {
    setTimeout(then, ms).unref();
  },
};
