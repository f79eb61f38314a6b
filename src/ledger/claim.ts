import type { AppRedis } from '../redis/keys.ts';
import { askScript, fieldsOf, loadScript } from '../redis/script.ts';
import { type CallRecord, MAX_RECORD_BYTES, RECORD_FORMAT, readRecord } from './record.ts';

const claimScript = loadScript(import.meta.url, 'claim.lua');
const keepAliveScript = loadScript(import.meta.url, 'keep-alive.lua');

export type Claim =
  /** `passedAtMs`: when the fleet's newest call that passed started, ms since 1970 in Redis; 0 for none. */
  | { readonly kind: 'yours'; readonly record: CallRecord; readonly passedAtMs: number }
  /** Finished work: its job has nothing to do. */
  | { readonly kind: 'gone' }
  /** Written by another version; left for it. */
  | { readonly kind: 'foreign'; readonly format: string }
  /** Not due yet. */
  | { readonly kind: 'early'; readonly waitMs: number };

/**
 * Takes the record over for `run`; an earlier run of it can change nothing from here on. Newer events of
 * its suspects join it. `maxWaitMs`: the longest that a retry is put off; a due time further away comes from
 * another clock.
 */
export async function claimRecord(
  { redis, keys }: AppRedis,
  callId: string,
  run: string,
  maxWaitMs: number,
): Promise<Claim> {
  const request = {
    callId,
    run,
    format: RECORD_FORMAT,
    maxWaitMs: Math.ceil(maxWaitMs),
    maxBytes: MAX_RECORD_BYTES,
  };
  const claim = fieldsOf<ClaimReply>(await askScript(redis, claimScript, keys, request));
  if (claim.kind !== 'yours') return claim;
  const record = readRecord(callId, claim.nowMs, fieldsOf(claim.record));
  return { kind: 'yours', record, passedAtMs: claim.passedAtMs };
}

type ClaimReply =
  | Exclude<Claim, { kind: 'yours' }>
  | { kind: 'yours'; record: unknown; nowMs: number; passedAtMs: number };

/** Says that these calls are being worked on. What was closed or put off meanwhile stays as it is. */
export async function keepCallsAlive({ redis, keys }: AppRedis, callIds: readonly string[]): Promise<void> {
  await askScript(redis, keepAliveScript, keys, { callIds });
}
