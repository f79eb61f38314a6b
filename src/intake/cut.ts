import type { ImportCommand } from '../im/bodies.ts';
import { type CallRecord, freshRecord, MAX_RECORD_BYTES, RECORD_FORMAT } from '../ledger/record.ts';
import type { AppRedis } from '../redis/keys.ts';
import { askScript, fieldsOf, loadScript } from '../redis/script.ts';

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
  /** Not due before `dueInMs`, unless a call fills up. */
  | { readonly kind: 'linger'; readonly dueInMs: number }
  | { readonly kind: 'empty' }
  | { readonly kind: 'blocked'; readonly by: 'paused' | 'held' | 'open-calls' }
);

/** Entries that one cut looks at, at most: many events of few users must not stall Redis. */
const MAX_LOOKED = 1_000;

/**
 * Cuts at most one batch call (and any number of single ones that stand before its end). The batch call is
 * taken in hand by `run`, an ID that nobody else uses, if one is given.
 */
export async function cutCalls({ redis, keys }: AppRedis, limits: CutLimits, run = ''): Promise<CutAnswer> {
  // The spread stands last: in the first place it would make hidden classes with each call (decision 94).
  const request = {
    format: RECORD_FORMAT,
    maxBytes: MAX_RECORD_BYTES,
    maxLooked: MAX_LOOKED,
    run,
    ...limits,
  };
  const answer = fieldsOf<CutReply>(await askScript(redis, cutScript, keys, request));
  if (answer.kind !== 'cut') return answer;
  const { kind, waiting, parked, nowMs, inHand } = answer;
  const calls = answer.calls.map((call) => fieldsOf<CutCall>(call));
  if (inHand === undefined) return { kind, waiting, parked, calls };
  const { callId, entries, users } = fieldsOf<{ callId: string; entries: string; users: number }>(inHand);
  const record = freshRecord(callId, limits.batchCommand, entries, nowMs);
  return { kind, waiting, parked, calls, local: { record, run, users } };
}

type CutReply =
  | Exclude<CutAnswer, { kind: 'cut' }>
  | { kind: 'cut'; waiting: number; parked: number; nowMs: number; calls: unknown[]; inHand?: unknown };
