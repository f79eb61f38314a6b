import type { ImportCommand } from '../im/bodies.ts';
import { type CallRecord, freshRecord, MAX_RECORD_BYTES, RECORD_FORMAT } from '../ledger/record.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { askScript, loadScript } from '../redis/script.ts';

const cutScript = loadScript(
  import.meta.url,
  '../ledger/record.lua',
  '../hold/hold-shared.lua',
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
   * What the batch call cannot carry goes alone: in the old form every profile and every robot. In the other
   * forms a robot is invalid, and rides along to its dead letter as whatever does not hold up.
   */
  readonly alone: 'nobody' | 'profile-or-robot';
}

/** A call that was cut for a job to run it. */
export interface CutCall {
  readonly callId: string;
  readonly command: ImportCommand;
  readonly users: number;
}

/** A run of the asking process that works off the batch call, under an ID that nobody else uses. */
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
      readonly local?: LocalCall;
    }
  /** Not due before `dueInMs`, unless a call fills up; this process is to look again in time. */
  | { readonly kind: 'linger'; readonly dueInMs: number }
  /** Another process looks again in time; if it did not, this one may after `waitMs`. */
  | { readonly kind: 'watched'; readonly waitMs: number; readonly dueInMs: number }
  | { readonly kind: 'empty' }
  | { readonly kind: 'blocked'; readonly by: 'paused' | 'held' | 'open-calls' }
);

/** Entries that one cut looks at, at most: many events of few users must not stall Redis. */
const MAX_LOOKED = 1_000;

/**
 * Cuts at most one batch call (and any number of single ones that stand before its end). With a `claim` the
 * batch call is taken in hand by it; asked again with the same claim, after an answer that was lost, it
 * answers the same call.
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
    format: RECORD_FORMAT,
    process: processId,
    maxBytes: MAX_RECORD_BYTES,
    maxLooked: MAX_LOOKED,
    run: claim?.run ?? '',
    callId: claim?.callId ?? '',
    ...limits,
  };
  const reply = (await askScript(redis, cutScript, keys, request)) as CutReply;
  return readCutReply(reply, limits.batchCommand, claim);
}

type CutReply =
  | ['cut', number, number, string, string, number, [string, ImportCommand, number][]]
  | ['linger', number, number]
  | ['watched', number, number, number]
  | ['empty', number]
  | ['blocked', number, 'paused' | 'held' | 'open-calls'];

function readCutReply(reply: CutReply, batchCommand: ImportCommand, claim: CallClaim | undefined): CutAnswer {
  const waiting = reply[1];
  switch (reply[0]) {
    case 'cut': {
      const [, , parked, nowMs, entries, users, others] = reply;
      const calls = others.map(([callId, command, users]): CutCall => ({ callId, command, users }));
      if (claim === undefined || entries === '') return { kind: 'cut', waiting, parked, calls };
      const record = freshRecord(claim.callId, batchCommand, entries, Number(nowMs));
      return { kind: 'cut', waiting, parked, calls, local: { record, run: claim.run, users } };
    }
    case 'linger':
      return { kind: 'linger', waiting, dueInMs: reply[2] };
    case 'watched':
      return { kind: 'watched', waiting, waitMs: reply[2], dueInMs: reply[3] };
    case 'empty':
      return { kind: 'empty', waiting };
    case 'blocked':
      return { kind: 'blocked', waiting, by: reply[2] };
  }
}

/**
 * Names the calls that this process takes in hand. `uuid`: random, 36 characters. A call has the name of
 * this start of the process and a number, so no two calls have the same name.
 */
export function createCallClaims(uuid: () => string): () => CallClaim {
  const process = uuid().replaceAll('-', '').slice(0, 12);
  let number = 0;
  return () => {
    number += 1;
    return { callId: `c${process}-${number.toString(36)}`, run: uuid() };
  };
}
