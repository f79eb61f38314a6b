import type { RedisClient } from './connect.ts';

/** A connection to Redis, and the keys of the app in it: nobody can use one without the other. */
export interface AppRedis {
  readonly redis: RedisClient;
  readonly keys: Keys;
}

/**
 * Every Redis key of one app. All share the hash tag `{imsync:<sdkAppId>}`: on Redis Cluster, the keys of one
 * script must be in one slot. docs/architecture.md lists their types, and who writes and reads them.
 */
export type Keys = Readonly<ReturnType<typeof keysOf>>;

/** Builds the keys of an app. `sdkAppId` is the app's number in the provider's console. */
export function keysOf(sdkAppId: number) {
  const tag = `{imsync:${sdkAppId}}`;
  return {
    /** Never written. It stands for the server that holds the app's keys. */
    server: `${tag}:server`,
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
    redriveStops: `${tag}:redrive-stops`,
    tallyPrefix: `${tag}:tally:`,
    imports: `${tag}:imports`,
    endedSessions: `${tag}:ended-sessions`,
    activity: `${tag}:activity`,
    workers: `${tag}:workers`,
    workerSettings: `${tag}:worker-settings`,
    historyNow: `${tag}:history-now`,
    historySeconds: `${tag}:history-10s`,
    historyMinutes: `${tag}:history-1m`,
    historyTens: `${tag}:history-10m`,
    bands: `${tag}:bands`,
    openBands: `${tag}:open-bands`,
    notices: `${tag}:notices`,
    feedRequests: `${tag}:feed-requests`,
    feedPrefix: `${tag}:feed:`,
    relay: `${tag}:relay`,
    reconcile: `${tag}:reconcile`,
    bullPrefix: `${tag}:bull`,
  };
}
