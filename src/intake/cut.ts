import type { ImportCommand } from '../im/bodies.ts';
import { type CallRecord, freshRecord, RECORD_FORMAT } from '../ledger/record.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';

const cutScript = loadScript(
  import.meta.url,
  '../redis/prelude.lua',
  '../ledger/writes/call-record.lua',
  '../ledger/writes/owners.lua',
  '../ledger/writes/intake-entries.lua',
  '../pace/hold/hold-shared.lua',
  'cut/back-pressure.lua',
  'cut/due.lua',
  'cut/place.lua',
  'cut.lua',
);

export interface CutLimits {
  readonly batchCommand: ImportCommand;
  readonly singleCommand: ImportCommand;
  /** Users in a call at most, 1–100. */
  readonly maxUsers: number;
  readonly maxWaitMs: number;
  /** With fewer calls than this in the last second, a lone event does not linger. */
  readonly eagerCalls: number;
  /** But a call that is not full is cut so far behind the one before: by the distance of two slots. */
  readonly eagerGapMs: number;
  /** Open calls at most, over the fleet: back-pressure. */
  readonly maxOpenCalls: number;
  /**
   * What the batch call cannot carry goes alone: in the old form every profile and every robot. In the other forms a robot
   * is invalid, and rides along to its dead letter as whatever does not hold up.
   */
  readonly alone: 'nobody' | 'profile-or-robot';
}

/** A call that was cut for a job to run it. */
export interface CutCall {
  readonly callId: string;
  readonly command: ImportCommand;
  readonly users: number;
}

/** Who works off the batch call that is cut: a run of the asking process, under an ID that nobody else uses. */
export interface CallClaim {
  readonly callId: string;
  readonly run: string;
}

/** The batch call, taken in hand by the asker's run: it is the record's owner from the cut on. */
export interface LocalCall {
  readonly record: CallRecord;
  readonly run: string;
  readonly users: number;
}

export type CutAnswer = { readonly waiting: number } & (
  | {
      readonly kind: 'cut';
      readonly parked: number;
      readonly calls: readonly CutCall[];
      readonly localCalls?: LocalCall;
    }
  /** Not due before `dueInMs`, unless a call fills up; this process is to look again in time. */
  | { readonly kind: 'linger'; readonly dueInMs: number }
  /** Another process looks again in time; if it did not, this one may after `waitMs`. */
  | { readonly kind: 'watched'; readonly waitMs: number; readonly dueInMs: number }
  | { readonly kind: 'empty' }
  | { readonly kind: 'blocked'; readonly by: 'paused' | 'held' | 'open-calls' }
);

/** Bytes of entries in a record, at most (a single larger entry goes alone). 100 full profiles take 110 KB. */
const MAX_CALL_BYTES = 512 * 1024;
/**
 * Calls of suspected users that back-pressure leaves out, at most: as many as account_import can retry every minute
 * or so. What lies beyond holds up the intake, so that Redis does not fill up.
 */
const MAX_ISOLATED = 10_000;
/** Entries that one cut looks at, at most: many events of few users must not stall Redis. */
const MAX_LOOKED = 1_000;

/**
 * Cuts at most one batch call (and any number of single ones that stand before its end). With a `claim` the batch call is
 * taken in hand by it; asked again with the same claim, after an answer that was lost, it answers the same call.
 */
export async function cutCalls(
  redis: RedisClient,
  keys: Keys,
  limits: CutLimits,
  processId: string,
  claim?: CallClaim,
): Promise<CutAnswer> {
  // The spread stands last: in the first place it would make hidden classes with each call (decision 94).
  const request = {
    callPrefix: keys.callPrefix,
    parkedPrefix: keys.parkedPrefix,
    format: RECORD_FORMAT,
    process: processId,
    maxIsolated: MAX_ISOLATED,
    maxBytes: MAX_CALL_BYTES,
    maxLooked: MAX_LOOKED,
    run: claim?.run ?? '',
    callId: claim?.callId ?? '',
    ...limits,
  };
  const reply = (await runScript(
    redis,
    cutScript,
    [
      keys.stream,
      keys.returned,
      keys.owners,
      keys.parkedCounts,
      keys.open,
      keys.books,
      keys.cutter,
      keys.hold,
      keys.startedPrefix + limits.batchCommand,
      keys.culprits,
      keys.isolated,
      keys.bodyLimit,
      keys.openSince,
    ],
    [JSON.stringify(request)],
  )) as [string, number, ...(string | number)[]];
  return readCutReply(reply, limits.batchCommand, claim);
}

function readCutReply(
  [word, waiting, first, ...rest]: readonly [string, number, ...(string | number)[]],
  batchCommand: ImportCommand,
  claim: CallClaim | undefined,
): CutAnswer {
  switch (word) {
    case 'cut': {
      const [nowMs, entries, users, ...others] = rest;
      const calls: CutCall[] = [];
      for (let i = 0; i + 2 < others.length; i += 3) {
        calls.push({
          callId: String(others[i]),
          command: others[i + 1] as ImportCommand,
          users: Number(others[i + 2]),
        });
      }
      const parked = Number(first);
      if (claim === undefined || entries === '') return { kind: 'cut', waiting, parked, calls };
      const record = freshRecord(claim.callId, batchCommand, String(entries), Number(nowMs));
      const localCalls = { record, run: claim.run, users: Number(users) };
      return { kind: 'cut', waiting, parked, calls, localCalls };
    }
    case 'linger':
      return { kind: 'linger', waiting, dueInMs: Number(first) };
    case 'watched':
      return { kind: 'watched', waiting, waitMs: Number(first), dueInMs: Number(rest[0]) };
    case 'empty':
      return { kind: 'empty', waiting };
    case 'blocked':
      return { kind: 'blocked', waiting, by: first as 'paused' | 'held' | 'open-calls' };
    default:
      throw new Error(`cut.lua answered ${word}, which this version does not know: a bug, please report it`);
  }
}
