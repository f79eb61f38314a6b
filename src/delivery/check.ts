import type { Answer } from '../im/answers.ts';
import { decodeCheck } from '../im/bodies.ts';
import type { Verdict } from '../im/verdicts.ts';
import type { HoldState } from '../pace/hold/hold-state.ts';
import type { CommandLimiter } from '../pace/open-limiter.ts';
import type { Slot } from '../pace/slot.ts';
import type { BreakerVerdict } from './breaker.ts';

/**
 * account_check is asked for users who came back in FailAccounts twice: it tells "failed but there" for all of
 * them in one call. It is a help only. Whatever it answers but a success, its users are called alone as they would
 * have been, and it proves nothing about imports: an app may lack the permission to check and import all the same.
 */
export async function reportCheck(
  hold: HoldState,
  limiter: CommandLimiter,
  verdict: Verdict,
  slot: Slot,
): Promise<BreakerVerdict> {
  if (slot.probe) await hold.missed(slot);
  if (verdict.class === 'throttle') await limiter.slots.throttle(slot, verdict.retryAfterMs ?? 0);
  return { kind: 'judge', whose: 'unknown' };
}

/** userId to whether the account exists; empty when the check settled nothing. */
export function whoIsThere(verdict: Verdict, answer: Answer): ReadonlyMap<string, boolean> {
  return verdict.class === 'done' && answer.kind === 'api' ? decodeCheck(answer.body) : new Map();
}
