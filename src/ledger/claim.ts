import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';
import { type CallRecord, RECORD_FORMAT, readRecord } from './record.ts';

const claimScript = loadScript(import.meta.url, '../redis/prelude.lua', 'claim.lua');

export type Claim =
  /** `passedAtMs`: when the newest call of the fleet that passed started, ms since 1970, Redis's clock; 0 for none. */
  | { readonly kind: 'yours'; readonly record: CallRecord; readonly passedAtMs: number }
  /** Finished work: its job has nothing to do. */
  | { readonly kind: 'gone' }
  /** Written by another version; left for it. */
  | { readonly kind: 'foreign'; readonly format: string }
  /** Not due yet. */
  | { readonly kind: 'early'; readonly waitMs: number };

/**
 * `maxWaitMs`: the longest that a retry is put off; a due time further away comes from another clock.
 *
 * Takes the record over for `run`; an earlier run of it can change nothing from here on.
 */
export async function claimRecord(
  redis: RedisClient,
  keys: Keys,
  callId: string,
  run: string,
  maxWaitMs: number,
): Promise<Claim> {
  const reply = (await runScript(
    redis,
    claimScript,
    [keys.callPrefix + callId, keys.open, keys.hold],
    [JSON.stringify({ callId, run, format: RECORD_FORMAT, maxWaitMs: Math.ceil(maxWaitMs) })],
  )) as (string | number)[];
  switch (reply[0]) {
    case 'gone':
      return { kind: 'gone' };
    case 'foreign':
      return { kind: 'foreign', format: String(reply[1]) };
    case 'early':
      return { kind: 'early', waitMs: Number(reply[1]) };
    default: {
      const fields = new Map<string, string>();
      for (let i = 3; i + 1 < reply.length; i += 2) fields.set(String(reply[i]), String(reply[i + 1]));
      return {
        kind: 'yours',
        record: readRecord(callId, Number(reply[1]), fields),
        passedAtMs: Number(reply[2]),
      };
    }
  }
}
