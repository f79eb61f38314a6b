import { performance } from 'node:perf_hooks';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';
import { SLOT_CLASSES, SLOTS_AHEAD, type SlotClass } from './budget.ts';
import type { RedisClock } from './redis-clock.ts';
import { createReservationLead, type ReservationLead } from './reservation-lead.ts';

const slotScript = loadScript(
  import.meta.url,
  '../redis/prelude.lua',
  '../ledger/record.lua',
  'slot/rate.lua',
  'slot/hold-gate.lua',
  'slot/gcra.lua',
  'slot/turns.lua',
  'slot.lua',
);
const giveUpScript = loadScript(import.meta.url, '../redis/prelude.lua', 'slot/give-up.lua');
const leftLateScript = loadScript(import.meta.url, '../redis/prelude.lua', 'slot/left-late.lua');
const throttleScript = loadScript(import.meta.url, '../redis/prelude.lua', 'slot/throttle.lua');

/**
 * A call that waits for its slot. `run` is the run that must still own the record `callId`; both are '' for a call
 * that has no record.
 */
export interface Candidate {
  readonly callId: string;
  readonly run: string;
  readonly slotClass: SlotClass;
}

/**
 * A call that delivers no events: it obeys quota, throttle, pause and hold like every other, and is never the probe
 * of a hold.
 */
export function withoutRecord(slotClass: SlotClass): Candidate {
  return { callId: '', run: '', slotClass };
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
  /** Calls a second in force when it was granted. */
  readonly ratePerSecond: number;
}

export type SlotAnswer =
  /** `nextMs`: after this to ask for those who go on waiting in the asking process. */
  | { readonly kind: 'slot'; readonly index: number; readonly slot: Slot; readonly nextMs: number }
  | { readonly kind: 'later'; readonly waitMs: number }
  /** `wanted`: the call whose turn it is as the probe, if it waits in the asking process; '' for none. */
  | { readonly kind: 'held'; readonly waitMs: number; readonly wanted: string }
  | { readonly kind: 'paused' }
  | { readonly kind: 'lost'; readonly index: number };

/** What is in force for a command, whatever this process is configured to. */
export interface RateInForce {
  readonly ratePerSecond: number;
  /** By the lowest quota of the processes heard of lately, before any throttling. */
  readonly fullRatePerSecond: number;
}

type Asked = { readonly epoch: string; readonly askedAtMs: number };

/** The shared budget of one command: asks Redis, never waits. */
export interface SlotClient {
  /** Between two slots, by this process's configuration. */
  readonly spacingMs: number;
  /**
   * `candidates`: one of each waiting class, best class first. `more`: the classes of which more wait in this process.
   */
  ask(candidates: readonly Candidate[], more?: readonly SlotClass[]): Promise<SlotAnswer & Asked>;
  /** A slot for the check that probes a hold; granted only while one is due. */
  askForCheck(): Promise<SlotAnswer & Asked>;
  /** Tells the rate in force, and that this process is there with its quota. */
  rate(): Promise<RateInForce>;
  /** Tells the rate in force to somebody who makes no calls. */
  look(): Promise<RateInForce>;
  /**
   * The slot was missed: it does not count as a started call, and the slots after it make up for its time. The
   * lease of a probe is given back by `HoldState.missed`.
   */
  giveUp(slot: Slot): Promise<void>;
  /** The slot was used, but the call left `lateMs` after it: its second counts from then. */
  leftLate(slot: Slot, lateMs: number): Promise<void>;
  /**
   * The API answered "too often" to the call of this slot: the shared rate goes down, and nothing starts for
   * `retryAfterMs`. Answers the new rate, or null when an earlier answer had lowered it already.
   */
  throttle(slot: Slot, retryAfterMs: number): Promise<number | null>;
}

/**
 * A probe that was not heard of for so long is replaced: its process died, or the API hangs. More than the service's
 * own time-out of 3 s (REST API overview), less than a call may take: a hold must not outlast its reason by the
 * time-out of a call that went out just before. What comes late still counts. An outage and a brake say less (hold.lua).
 */
const PROBE_LEASE_MS = 5_000;
/** A server that asks for more is not believed: somebody would notice only the next day. */
const MAX_RETRY_AFTER_MS = 60_000;

/** `ownSpacingMicros`: the distance of two calls by this process's configuration. */
export function createSlotClient(
  redis: RedisClient,
  keys: Keys,
  command: string,
  clock: RedisClock,
  ownSpacingMicros: number,
  lead: ReservationLead = createReservationLead(),
): SlotClient {
  const pace = keys.pacePrefix + command;
  const started = keys.startedPrefix + command;

  const run = async (
    mode: 'calls' | 'check' | 'rate' | 'look',
    candidates: readonly Candidate[],
    more: readonly SlotClass[] = [],
  ): Promise<Reply> => {
    const recordOf = ({ callId, run }: Candidate): string =>
      run === '' ? keys.hold : keys.callPrefix + callId;
    return (await runScript(
      redis,
      slotScript,
      [keys.hold, pace, started, ...candidates.map(recordOf)],
      [
        mode,
        ownSpacingMicros,
        SLOTS_AHEAD,
        PROBE_LEASE_MS,
        Math.ceil(clock.settlesInMs(performance.now()) * 1000),
        Math.round(lead.ms * 1000),
        more.map((slotClass) => SLOT_CLASSES.indexOf(slotClass)).join(''),
        ...candidates.flatMap(({ slotClass, run }) => [SLOT_CLASSES.indexOf(slotClass), run]),
      ],
    )) as Reply;
  };

  const ask = async (
    mode: 'calls' | 'check',
    candidates: readonly Candidate[],
    more: readonly SlotClass[] = [],
  ): Promise<SlotAnswer & Asked> => {
    const askedAtMs = performance.now();
    const { answer, epoch, redisNowMs } = readSlotReply(await run(mode, candidates, more));
    const repliedAtMs = performance.now();
    clock.sample(askedAtMs, repliedAtMs, redisNowMs);
    lead.saw(repliedAtMs - clock.toLocalMs(redisNowMs));
    if (answer.kind === 'held') {
      const wanted = answer.wanted.slice(keys.callPrefix.length);
      return { epoch, askedAtMs, ...answer, wanted };
    }
    if (answer.kind !== 'slot') return { epoch, askedAtMs, ...answer };
    const slot = { ...answer.slot, atLocalMs: clock.slotAtLocalMs(answer.slot.atRedisMs) };
    return { epoch, askedAtMs, ...answer, slot };
  };

  const inForce = async (mode: 'rate' | 'look'): Promise<RateInForce> => {
    const askedAtMs = performance.now();
    const [, now, rate, lowestSpacing] = await run(mode, []);
    clock.sample(askedAtMs, performance.now(), Number(now) / 1000);
    return { ratePerSecond: Number(rate), fullRatePerSecond: 1_000_000 / Number(lowestSpacing) };
  };

  return {
    spacingMs: ownSpacingMicros / 1000,
    ask: (candidates, more) => ask('calls', candidates, more),
    askForCheck: () => ask('check', []),
    rate: () => inForce('rate'),
    look: () => inForce('look'),
    async giveUp(slot) {
      const spacing = Math.floor(1_000_000 / slot.ratePerSecond);
      await runScript(redis, giveUpScript, [started, pace], [slot.number, spacing]);
    },
    async leftLate(slot, lateMs) {
      const leftAtMicros = Math.round((slot.atRedisMs + lateMs) * 1000);
      await runScript(redis, leftLateScript, [started, pace], [slot.number, leftAtMicros]);
    },
    async throttle(slot, retryAfterMs) {
      const full = 1_000_000 / ownSpacingMicros;
      const request = {
        slotMicros: Math.round(slot.atRedisMs * 1000),
        full,
        least: Math.max(1, full / 50),
        retryAfterMicros: Math.round(Math.min(retryAfterMs, MAX_RETRY_AFTER_MS) * 1000),
        rate: slot.ratePerSecond,
      };
      const reply = await runScript(redis, throttleScript, [pace], [JSON.stringify(request)]);
      const milliRate = Number(reply);
      return milliRate === 0 ? null : milliRate / 1000;
    },
  };
}

type Reply = readonly (string | number)[];

interface ToldSlot {
  readonly redisNowMs: number;
  readonly epoch: string;
  readonly answer: SlotAnswer;
}

function readSlotReply(reply: Reply): ToldSlot {
  const word = String(reply[0]);
  switch (word) {
    case 'slot': {
      const [, index, time, now, epoch, probe, heldMs, number, rate, next] = reply;
      const atRedisMs = Number(time) / 1000;
      const slot: Slot = {
        atRedisMs,
        atLocalMs: Number.NaN,
        epoch: String(epoch),
        probe: Number(probe) === 1,
        heldMs: Number(heldMs),
        number: String(number),
        ratePerSecond: Number(rate),
      };
      return {
        redisNowMs: Number(now) / 1000,
        epoch: slot.epoch,
        answer: { kind: 'slot', index: Number(index), slot, nextMs: Number(next) / 1000 },
      };
    }
    case 'later':
      return told(reply[1], '', { kind: 'later', waitMs: Number(reply[2]) / 1000 });
    case 'held':
      return told(reply[1], reply[3], {
        kind: 'held',
        waitMs: Number(reply[2]) / 1000,
        wanted: String(reply[4] ?? ''),
      });
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
