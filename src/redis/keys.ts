/**
 * Every Redis key of one app, from one builder. All share the hash tag `{imsync:<sdkAppId>}`, so that the
 * scripts run on Redis Cluster, where the keys of one script must live in one slot.
 */
export interface Keys {
  /** Stream that producers XADD to (contract). */
  readonly stream: string;
  /** List: entries that were parked and came back; cut reads it before the stream. Packed entries. */
  readonly returned: string;
  /** Hash userId → callId: the one call that a user is in. */
  readonly owners: string;
  /** Hash userId → number of entries parked behind that user's call. */
  readonly parkedCounts: string;
  /** Prefix of the lists (one a user) that hold the parked entries, oldest first. */
  readonly parkedPrefix: string;
  /** Prefix of the call records (hashes). */
  readonly callPrefix: string;
  /** Sorted set callId → time in ms since when the record should be seen to move: back-pressure and sweep. */
  readonly open: string;
  /** Sorted set callId → when the oldest event in it was accepted (ms): how long an event takes to end. */
  readonly openSince: string;
  /** Sorted set callId → due (ms): open calls in which all users are suspected; back-pressure leaves them out. */
  readonly isolated: string;
  /** Hash of counters: what was taken off the stream and how it ended. */
  readonly books: string;
  /** Hash: who watches the lingering entries, and since when the returned ones wait. */
  readonly cutter: string;
  /** Hash: how many users of late were refused when their calls were, and the batch size that follows. */
  readonly culprits: string;
  /** Bytes of a call's body that something on the way takes, for a while after it refused a larger one. */
  readonly bodyLimit: string;
  /** Hash: hold, pause and epoch of the whole fleet. */
  readonly hold: string;
  /** Channel on which changes of hold and pause are told. */
  readonly holdChannel: string;
  /** Prefix + command: hash with the time of that command's next slot. */
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
  /** Sorted set eventId → resolved at (ms): letters whose user was imported since. */
  readonly deadResolved: string;
  /** Sorted set eventId → redriven at (ms): letters whose event is in a call again. */
  readonly deadRedriving: string;
  /**
   * Prefix + ID of a process: the channel on which its producer hears outcomes, and the list that holds for a
   * minute those which nobody heard.
   */
  readonly replyPrefix: string;
  /** Capped stream of how events ended, with IMSYNC_OUTCOMES=all (contract for who follows it). */
  readonly outcomes: string;
  /** Hash `last` → number of the last redrive, and its ID → JSON: who had what redriven. */
  readonly redrives: string;
  /** Prefix + name: hash of counters, how the events of an import ended. */
  readonly tallyPrefix: string;
  /** Hash workerId → JSON of version and last sign of life. */
  readonly workers: string;
  /** BullMQ's key prefix. */
  readonly bullPrefix: string;
}

/** `sdkAppId` is the number that the console gave the app. */
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
