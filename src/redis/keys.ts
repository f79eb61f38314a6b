/**
 * Every Redis key of one app. All share the hash tag `{imsync:<sdkAppId>}`: on Redis Cluster, the keys of one
 * script must be in one slot. docs/architecture.md lists their types, and who writes and reads them.
 */
export type Keys = Readonly<ReturnType<typeof keysOf>>;

/** Builds the keys of an app. `sdkAppId` is the app's number in the provider's console. */
export function keysOf(sdkAppId: number) {
  const tag = `{imsync:${sdkAppId}}`;
  return {
    /** Stream that producers XADD to (contract). */
    stream: `${tag}:user-created`,
    /** List: packed entries that were parked and came back. Cut reads it before the stream. */
    returned: `${tag}:returned`,
    /** Hash userId → callId: the call that a user is in. A user is in at most one. */
    owners: `${tag}:owners`,
    /** Hash userId → number of entries that are parked behind that user's call. */
    parkedCounts: `${tag}:parked-counts`,
    /** Prefix + userId: list of the parked entries of a user, oldest first. */
    parkedPrefix: `${tag}:parked:`,
    /** Prefix + callId: hash, a call record. */
    callPrefix: `${tag}:call:`,
    /** Sorted set callId → the time (ms) from which the record should move. */
    open: `${tag}:open-calls`,
    /** Sorted set callId → when its oldest event was accepted (ms). Tells how long events take. */
    openSince: `${tag}:open-since`,
    /** Sorted set callId → due (ms): calls in which every user is suspected. Back-pressure ignores them. */
    isolated: `${tag}:isolated-calls`,
    /** Hash of counters: the events taken off the stream, and how they ended. */
    books: `${tag}:books`,
    /** Hash: which process watches the lingering entries, and since when the returned ones wait. */
    cutter: `${tag}:cutter`,
    /** Hash: how many users were refused lately, and the batch size that follows from it. */
    culprits: `${tag}:culprits`,
    /** String: the largest body in bytes, for a while after a larger one was refused with HTTP 413. */
    bodyLimit: `${tag}:body-limit`,
    /** Hash: hold, pause and epoch of the fleet. */
    hold: `${tag}:hold`,
    /** Channel on which changes of hold and pause are published. */
    holdChannel: `${tag}:hold-changed`,
    /** Prefix + command: hash with the time of the command's next slot. */
    pacePrefix: `${tag}:pace:`,
    /** Prefix + command: sorted set of the slots granted in the last seconds. */
    startedPrefix: `${tag}:started:`,
    /** Prefix + eventId: a dead letter (hash). */
    deadPrefix: `${tag}:dead:`,
    /** Sorted set eventId → dead since (ms): unresolved dead letters. */
    deadByTime: `${tag}:dead-by-time`,
    /** Sorted set, lexical, `userId eventId`: unresolved dead letters by user. */
    deadByUser: `${tag}:dead-by-user`,
    /** Sorted set, lexical, `code eventId`: unresolved dead letters by code. */
    deadByCode: `${tag}:dead-by-code`,
    /** Sorted set, lexical, `reason code eventId`: unresolved dead letters by reason and code. */
    deadByReason: `${tag}:dead-by-reason`,
    /** Hash userId → unresolved dead letters of that user. */
    deadUsers: `${tag}:dead-users`,
    /** Hash `reason:<reason>` and `code:<code>` → unresolved dead letters. */
    deadCounts: `${tag}:dead-counts`,
    /** Sorted set eventId → resolved at (ms): letters whose user was imported later. */
    deadResolved: `${tag}:dead-resolved`,
    /** Sorted set eventId → redriven at (ms): letters whose event is in a call again. */
    deadRedriving: `${tag}:dead-redriving`,
    /** Prefix + ID of a process: the channel of its producer's outcomes; unheard ones are a list for 60 s. */
    replyPrefix: `${tag}:reply:`,
    /** Capped stream of all outcomes, with IMSYNC_OUTCOMES=all (contract). */
    outcomes: `${tag}:outcomes`,
    /** Hash `last` → number of the last redrive; redrive ID → JSON of who redrove what. */
    redrives: `${tag}:redrives`,
    /** Prefix + name: hash of counters of how the events of an import ended. */
    tallyPrefix: `${tag}:tally:`,
    /** Hash workerId → JSON of its version and its last heartbeat. */
    workers: `${tag}:workers`,
    /** BullMQ's key prefix. */
    bullPrefix: `${tag}:bull`,
  };
}
