import { cut } from '../event/text.ts';
import { createHoldState, type FleetState } from '../hold/hold-state.ts';
import { oneLine } from '../im/redact.ts';
import type { AppRedis } from '../redis/keys.ts';
import { ownerTimeMs } from '../redis/owner.ts';

/** What an operator's pause or resume did: whether it changed something, and how the fleet is since. */
export interface PauseResult extends Pick<FleetState, 'pause' | 'hold'> {
  readonly changed: boolean;
}

const MAX_REASON_CHARS = 200;

/** Stops all calls of the fleet. Of a fleet that is paused already, the first pause stays. */
export async function pauseFleet(
  { redis, keys }: AppRedis,
  reason: string,
  by: string,
): Promise<PauseResult> {
  const state = createHoldState(redis, keys);
  const nowMs = Math.floor(await ownerTimeMs(redis, keys));
  const word = await state.pause(cut(oneLine(reason), MAX_REASON_CHARS), nowMs, by);
  return { changed: word === 'paused', ...(await state.read()) };
}

/** Ends a pause. A hold is not ended by it. */
export async function resumeFleet({ redis, keys }: AppRedis): Promise<PauseResult> {
  const state = createHoldState(redis, keys);
  const word = await state.resume();
  return { changed: word === 'resumed', ...(await state.read()) };
}
