import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';

const holdScript = loadScript(import.meta.url, 'hold.lua');

/** Why no call of the app can succeed at present, as an operator reads it. */
export interface Hold {
  readonly errorCode: number;
  readonly errorInfo: string;
  readonly kind: string;
  /** ms since 1970, Redis's clock. */
  readonly since: number;
  readonly nextProbeAt: number;
}

export interface FleetState {
  readonly epoch: string;
  readonly hold: Hold | null;
  readonly paused: boolean;
  /** Milliseconds spent in holds that ended. */
  readonly heldMs: number;
}

/** Gap between two probes: it doubles from the first to the greatest. */
const FIRST_PROBE_GAP_MS = 1_000;
const MAX_PROBE_GAP_MS = 60_000;

export type HoldChange =
  | 'set'
  | 'postponed'
  | 'cleared'
  | 'waiting'
  | 'stale'
  | 'same'
  | 'paused'
  | 'resumed';

/** Sets, clears and reads what stops the whole fleet. Every change is one script, told to all processes. */
export interface HoldState {
  set(
    epoch: string,
    why: { errorCode: number; errorInfo: string; kind: string; minProbeGapMs?: number },
  ): Promise<HoldChange>;
  clear(epoch: string): Promise<HoldChange>;
  /** A probe came back without proof. */
  wait(epoch: string): Promise<HoldChange>;
  read(): Promise<FleetState>;
}

export function createHoldState(redis: RedisClient, keys: Keys): HoldState {
  const run = async (op: string, epoch: string, json = '', gapMs = FIRST_PROBE_GAP_MS): Promise<HoldChange> =>
    (await runScript(
      redis,
      holdScript,
      [keys.hold],
      [op, epoch, keys.holdChannel, json, gapMs, Math.max(gapMs, MAX_PROBE_GAP_MS)],
    )) as HoldChange;
  return {
    set: (epoch, { minProbeGapMs = 0, ...why }) =>
      run('set', epoch, JSON.stringify(why), Math.max(FIRST_PROBE_GAP_MS, minProbeGapMs)),
    clear: (epoch) => run('clear', epoch),
    wait: (epoch) => run('wait', epoch),
    read: async () => readFleetState(await redis.hgetall(keys.hold)),
  };
}

export function readFleetState(fields: Record<string, string>): FleetState {
  const why = fields.held
    ? (JSON.parse(fields.held) as Pick<Hold, 'errorCode' | 'errorInfo' | 'kind'>)
    : null;
  return {
    epoch: fields.epoch ?? '0',
    hold: why && {
      ...why,
      since: Number(fields.heldSince ?? 0),
      nextProbeAt: Number(fields.nextProbeAt ?? 0),
    },
    paused: fields.paused !== undefined,
    heldMs: Number(fields.heldMs ?? 0),
  };
}
