import { performance } from 'node:perf_hooks';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';
import { SLOT_CLASSES, SLOTS_AHEAD, type SlotClass } from './budget.ts';
import type { RedisClock } from './redis-clock.ts';

const slotScript = loadScript(import.meta.url, 'slot.lua');

/** A call that waits for its slot. `run` is the run that must still own the record `callId`. */
export interface Candidate {
  readonly callId: string;
  readonly run: string;
  readonly slotClass: SlotClass;
}

/** The right to start one call at one time. */
export interface Slot {
  /** When to send, on `performance.now()`. */
  readonly atLocalMs: number;
  /** The same time on Redis's clock, ms since 1970. */
  readonly atRedisMs: number;
  readonly epoch: string;
  /** True for the one call that goes out while the fleet is held. */
  readonly probe: boolean;
  /** Milliseconds spent in holds so far. */
  readonly heldMs: number;
  readonly number: string;
}

export type SlotAnswer =
  | { readonly kind: 'slot'; readonly index: number; readonly slot: Slot }
  | { readonly kind: 'later'; readonly waitMs: number }
  | { readonly kind: 'held'; readonly waitMs: number }
  | { readonly kind: 'paused' }
  | { readonly kind: 'lost'; readonly index: number };

/** The shared budget of one command: asks Redis, never waits. */
export interface SlotBook {
  /** `candidates`: one of each waiting class, best class first. */
  ask(
    candidates: readonly Candidate[],
    spacingMicros: number,
  ): Promise<SlotAnswer & { epoch: string; askedAtMs: number }>;
  /**
   * The slot was missed: it does not count as a started call. Its time is not given to another. A probe that did
   * not go out makes room for the next one; its lease would keep the fleet held for nothing.
   */
  giveUp(slot: Slot): Promise<void>;
  /** The API answered "too often": no slot of this command for `ms`. */
  standBack(ms: number): Promise<void>;
}

/** A probe whose process died is replaced after this. Longer than a call can take. */
const PROBE_LEASE_MS = 15_000;

export function createSlotBook(redis: RedisClient, keys: Keys, command: string, clock: RedisClock): SlotBook {
  const pace = keys.pacePrefix + command;
  const started = keys.startedPrefix + command;
  return {
    async ask(candidates, spacingMicros) {
      const askedAtMs = performance.now();
      const reply = (await runScript(
        redis,
        slotScript,
        [keys.hold, pace, started, ...candidates.map((c) => keys.callPrefix + c.callId)],
        [
          spacingMicros,
          SLOTS_AHEAD,
          PROBE_LEASE_MS,
          ...candidates.flatMap((c) => [SLOT_CLASSES.indexOf(c.slotClass), c.run]),
        ],
      )) as [string, ...(string | number)[]];
      const receivedAtMs = performance.now();
      const told = readSlotReply(reply);
      clock.sample(askedAtMs, receivedAtMs, told.redisNowMs);
      const epoch = told.epoch;
      if (told.answer.kind !== 'slot') return { ...told.answer, epoch, askedAtMs };
      const { slot, index } = told.answer;
      return {
        kind: 'slot',
        index,
        slot: { ...slot, atLocalMs: clock.toLocalMs(slot.atRedisMs) },
        epoch,
        askedAtMs,
      };
    },
    async giveUp(slot) {
      const multi = redis.multi().zrem(started, slot.number).hincrby(pace, 'givenUp', 1);
      if (slot.probe) multi.hdel(keys.hold, 'probeUntil');
      await multi.exec();
    },
    async standBack(ms) {
      const [seconds = '0', micros = '0'] = (await redis.time()).map(String);
      const until = Number(seconds) * 1e6 + Number(micros) + Math.round(ms * 1000);
      await redis.hset(pace, 'notBefore', String(until));
    },
  };
}

interface ToldSlot {
  readonly redisNowMs: number;
  readonly epoch: string;
  readonly answer: SlotAnswer;
}

function readSlotReply(reply: readonly (string | number)[]): ToldSlot {
  const word = String(reply[0]);
  switch (word) {
    case 'slot': {
      const [, index, time, now, epoch, probe, heldMs, number] = reply;
      const atRedisMs = Number(time) / 1000;
      const slot: Slot = {
        atRedisMs,
        atLocalMs: Number.NaN,
        epoch: String(epoch),
        probe: Number(probe) === 1,
        heldMs: Number(heldMs),
        number: String(number),
      };
      return {
        redisNowMs: Number(now) / 1000,
        epoch: slot.epoch,
        answer: { kind: 'slot', index: Number(index), slot },
      };
    }
    case 'later':
      return told(reply[1], '', { kind: 'later', waitMs: Number(reply[2]) / 1000 });
    case 'held':
      return told(reply[1], reply[3], { kind: 'held', waitMs: Number(reply[2]) / 1000 });
    case 'paused':
      return told(reply[1], reply[2], { kind: 'paused' });
    case 'lost':
      return told(reply[1], '', { kind: 'lost', index: Number(reply[2]) });
    default:
      throw new Error(`slot.lua answered ${word}, which this version does not know: a bug, please report it`);
  }
}

function told(now: unknown, epoch: unknown, answer: SlotAnswer): ToldSlot {
  return { redisNowMs: Number(now) / 1000, epoch: String(epoch ?? ''), answer };
}
