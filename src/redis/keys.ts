/**
 * Every Redis key of one app. All share the hash tag `{imsync:<sdkAppId>}`: on Redis Cluster, the keys of one
 * script must be in one slot.
 */
export interface Keys {
  /** Stream that producers XADD to (contract). */
  readonly stream: string;
  /** List: packed entries that were parked and came back. Cut reads it before the stream. */
  readonly returned: string;
  /** Hash userId → callId: the call that a user is in. A user is in at most one. */
  readonly owners: string;
  /** Hash userId → number of entries that are parked behind that user's call. */
  readonly parkedCounts: string;
  /** Prefix + userId: list of the parked entries of a user, oldest first. */
  readonly parkedPrefix: string;
  /** Prefix + callId: hash, a call record. */
  readonly callPrefix: string;
  /**
   * Sorted set callId → the time (ms) from which the record should move. Back-pressure and the sweep read it.
   */
  readonly open: string;
  /** Sorted set callId → when its oldest event was accepted (ms). Tells how long events take. */
  readonly openSince: string;
  /**
   * Sorted set callId → due (ms): open calls in which every user is suspected. Back-pressure ignores them.
   */
  readonly isolated: string;
  /** Hash of counters: the events taken off the stream, and how they ended. */
  readonly books: string;
  /** Hash: which process watches the lingering entries, and since when the returned ones wait. */
  readonly cutter: string;
  /** Hash: how many users were refused lately, and the batch size that follows from it. */
  readonly culprits: string;
  /** String: the largest body in bytes, for a while after a larger one was refused with HTTP 413. */
  readonly bodyLimit: string;
  /** Hash: hold, pause and epoch of the fleet. */
  readonly hold: string;
  /** Channel on which changes of hold and pause are published. */
  readonly holdChannel: string;
  /** Prefix + command: hash with the time of the command's next slot. */
  readonly pacePrefix: string;
  /** Prefix + command: sorted set of the slots granted in the last seconds. */
  readonly startedPrefix: string;
  /** Prefix + eventId: a dead letter (hash). */
  readonly deadPrefix: string;
  /** Sorted set eventId → dead since (ms): unresolved dead letters. */
  readonly deadByTime: string;
  /** Sorted set, lexical, `userId eventId`: unresolved dead letters by user. */
  readonly deadByUser: string;
  /** Sorted set, lexical, `code eventId`: unresolved dead letters by code. */
  readonly deadByCode: string;
  /** Sorted set, lexical, `reason code eventId`: unresolved dead letters by reason, and by code within it. */
  readonly deadByReason: string;
  /** Hash userId → unresolved dead letters of that user. */
  readonly deadUsers: string;
  /** Hash `reason:<reason>` and `code:<code>` → unresolved dead letters. */
  readonly deadCounts: string;
  /** Sorted set eventId → resolved at (ms): letters whose user was imported later. */
  readonly deadResolved: string;
  /** Sorted set eventId → redriven at (ms): letters whose event is in a call again. */
  readonly deadRedriving: string;
  /**
   * Prefix + ID of a process: the channel on which its producer receives outcomes, and the list that keeps
   * the outcomes without a listener for a minute.
   */
  readonly replyPrefix: string;
  /** Capped stream of all outcomes, with IMSYNC_OUTCOMES=all (contract). */
  readonly outcomes: string;
  /** Hash `last` → number of the last redrive; redrive ID → JSON of who redrove what. */
  readonly redrives: string;
  /** Prefix + name: hash of counters of how the events of an import ended. */
  readonly tallyPrefix: string;
  /** Hash workerId → JSON of its version and its last heartbeat. */
  readonly workers: string;
  /** BullMQ's key prefix. */
  readonly bullPrefix: string;
}

/** Builds the keys of an app. `sdkAppId` is the app's number in the provider's console. */
export function keysOf(sdkAppId: number): Keys {
  const tag = `{imsync:${sdkAppId}}`;
  return {
    stream: `${tag}:user-created`,
    returned: `${tag}:returned`,
    owners: `${tag}:owners`,
    parkedCounts: `${tag}:parked-counts`,
    parkedPrefix: `${tag}:parked:`,
    callPrefix: `${tag}:call:`,
    open: `${tag}:open-calls`,
    openSince: `${tag}:open-since`,
    isolated: `${tag}:isolated-calls`,
    books: `${tag}:books`,
    cutter: `${tag}:cutter`,
    culprits: `${tag}:culprits`,
    bodyLimit: `${tag}:body-limit`,
    hold: `${tag}:hold`,
    holdChannel: `${tag}:hold-changed`,
    pacePrefix: `${tag}:pace:`,
    startedPrefix: `${tag}:started:`,
    deadPrefix: `${tag}:dead:`,
    deadByTime: `${tag}:dead-by-time`,
    deadByUser: `${tag}:dead-by-user`,
    deadByCode: `${tag}:dead-by-code`,
    deadByReason: `${tag}:dead-by-reason`,
    deadUsers: `${tag}:dead-users`,
    deadCounts: `${tag}:dead-counts`,
    deadResolved: `${tag}:dead-resolved`,
    deadRedriving: `${tag}:dead-redriving`,
    replyPrefix: `${tag}:reply:`,
    outcomes: `${tag}:outcomes`,
    redrives: `${tag}:redrives`,
    tallyPrefix: `${tag}:tally:`,
    workers: `${tag}:workers`,
    bullPrefix: `${tag}:bull`,
  };
}
