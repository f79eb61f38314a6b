import { performance } from 'node:perf_hooks';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { fieldsOf, loadScript, runScript } from '../redis/script.ts';
import { SLOT_CLASSES, SLOTS_AHEAD, type SlotClass } from './budget.ts';
import type { RedisClock } from './redis-clock.ts';

const slotScript = loadScript(
  import.meta.url,
  '../ledger/record.lua',
  'slot/rate.lua',
  'slot/hold-gate.lua',
  'slot/gcra.lua',
  'slot/turns.lua',
  'slot.lua',
);
const giveUpScript = loadScript(import.meta.url, 'slot/give-up.lua');
const leftLateScript = loadScript(import.meta.url, 'slot/left-late.lua');
const throttleScript = loadScript(import.meta.url, 'slot/throttle.lua');

/**
 * A call that waits for its slot. `run` is the run that must still own the record `callId`; both are '' for a
 * call that has no record.
 */
export interface Candidate {
  readonly callId: string;
  readonly run: string;
  readonly slotClass: SlotClass;
}

/** A call that delivers no events. It obeys quota, throttle, pause and hold, and is never a probe. */
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
  | { readonly kind: 'slot'; readonly index: number; readonly slot: Slot }
  | { readonly kind: 'later'; readonly waitMs: number }
  /** `wanted`: the call whose turn it is as the probe, if it waits in the asking process. */
  | { readonly kind: 'held'; readonly waitMs: number; readonly wanted?: string }
  | { readonly kind: 'paused' }
  | { readonly kind: 'lost'; readonly index: number };

/** As slot.lua answers. */
type Reply = { readonly nowMicros: number; readonly epoch: string } & (
  | Exclude<SlotAnswer, { kind: 'slot' }>
  | (Record<'index' | 'atMicros' | 'heldMs' | 'number', number> & {
      kind: 'slot';
      isProbe: 1 | null;
      rate: string;
    })
  | { readonly kind: 'rate'; readonly rate: string; readonly lowestSpacing: string }
);

/** The answer with the fleet's epoch, '' where it is not told. */
type Answered = SlotAnswer & { readonly epoch: string; readonly askedAtMs: number };

/**
 * A probe that was not heard of for so long is replaced: its process died, or the API hangs. It is more than
 * the service's own time-out of 3 s (REST API overview), and less than a call may take: a hold must not
 * outlast its reason by the time-out of a call. What comes late still counts. Some holds say less (hold.lua).
 */
const PROBE_LEASE_MS = 5_000;
/** A server that asks for more is not believed: somebody would notice only the next day. */
const MAX_RETRY_AFTER_MS = 60_000;

/** The shared budget of one command: asks Redis, never waits. */
export type SlotClient = Readonly<ReturnType<typeof createSlotClient>>;

/** `ownSpacingMicros`: the distance of two calls by this process's configuration. */
export function createSlotClient(
  redis: RedisClient,
  keys: Keys,
  command: string,
  clock: RedisClock,
  ownSpacingMicros: number,
) {
  const pace = keys.pacePrefix + command;
  const started = keys.startedPrefix + command;

  const run = async (
    mode: 'calls' | 'check' | 'rate' | 'look',
    candidates: readonly Candidate[] = [],
    more: readonly SlotClass[] = [],
  ): Promise<Reply> => {
    const askedAtMs = performance.now();
    const records = candidates.map(({ callId, run }) => (run === '' ? keys.hold : keys.callPrefix + callId));
    const named = [keys.hold, pace, started, ...records];
    const reply = await runScript(redis, slotScript, named, [
      mode,
      ownSpacingMicros,
      SLOTS_AHEAD,
      PROBE_LEASE_MS,
      Math.ceil(clock.settlesInMs(askedAtMs) * 1000),
      Math.round(clock.leadMs() * 1000),
      more.map((slotClass) => SLOT_CLASSES.indexOf(slotClass)).join(''),
      ...candidates.flatMap(({ slotClass, run }) => [SLOT_CLASSES.indexOf(slotClass), run]),
    ]);
    const answer = fieldsOf<Reply>(reply);
    clock.sample(askedAtMs, performance.now(), answer.nowMicros / 1000);
    return answer;
  };

  const ask = async (...question: Parameters<typeof run>): Promise<Answered> => {
    const askedAtMs = performance.now();
    const answer = await run(...question);
    // The spread stands last: in the first place it would make hidden classes with each answer (decision 94).
    if (answer.kind !== 'slot') return { askedAtMs, ...(answer as Exclude<typeof answer, { kind: 'rate' }>) };
    const { kind, epoch, index } = answer;
    return { kind, epoch, askedAtMs, index, slot: slotOf(answer, clock) };
  };

  return {
    /** Between two slots, by this process's configuration. */
    spacingMs: ownSpacingMicros / 1000,
    /** `candidates`: one of each waiting class, best first. `more`: the classes of which more wait here. */
    ask: (candidates: readonly Candidate[], more?: readonly SlotClass[]) => ask('calls', candidates, more),
    /** A slot for the check that probes a hold; granted only while one is due. */
    askForCheck: () => ask('check'),
    /** Tells the rate in force, and that this process is there with its quota. */
    rate: async () => rateOf(await run('rate')),
    /** Tells the rate in force to a process that makes no calls. */
    look: async () => rateOf(await run('look')),
    /**
     * The slot was missed: it does not count as a started call, and the slots after it make up for its time.
     * The lease of a probe is given back by `HoldState.missed`.
     */
    async giveUp(slot: Slot): Promise<void> {
      const spacing = Math.floor(1_000_000 / slot.ratePerSecond);
      await runScript(redis, giveUpScript, [started, pace], [slot.number, spacing]);
    },
    /** The slot was used, but the call left `lateMs` after it: its second counts from then. */
    async leftLate(slot: Slot, lateMs: number): Promise<void> {
      const leftAtMicros = Math.round((slot.atRedisMs + lateMs) * 1000);
      await runScript(redis, leftLateScript, [started, pace], [slot.number, leftAtMicros]);
    },
    /**
     * The API answered "too often" to the call of this slot: the shared rate goes down, and nothing starts
     * for `retryAfterMs`. Answers the new rate, or null when an earlier answer had lowered it already.
     */
    async throttle(slot: Slot, retryAfterMs: number): Promise<number | null> {
      const request = JSON.stringify(throttleRequest(slot, retryAfterMs, 1_000_000 / ownSpacingMicros));
      const milliRate = Number(await runScript(redis, throttleScript, [pace], [request]));
      return milliRate === 0 ? null : milliRate / 1000;
    },
  };
}

function slotOf(answer: Extract<Reply, { kind: 'slot' }>, clock: RedisClock): Slot {
  const atRedisMs = answer.atMicros / 1000;
  return {
    atRedisMs,
    atLocalMs: clock.slotAtLocalMs(atRedisMs),
    epoch: answer.epoch,
    probe: answer.isProbe === 1,
    heldMs: answer.heldMs,
    number: String(answer.number),
    ratePerSecond: Number(answer.rate),
  };
}

/** What is in force for the command, whatever this process is configured to. */
function rateOf(reply: Reply) {
  const { rate, lowestSpacing } = reply as Extract<Reply, { kind: 'rate' }>;
  return {
    ratePerSecond: Number(rate),
    /** By the lowest quota of the processes heard of lately, before any throttling. */
    fullRatePerSecond: 1_000_000 / Number(lowestSpacing),
  };
}

/** `full`: calls a second by this process's configuration. */
function throttleRequest(slot: Slot, retryAfterMs: number, full: number) {
  return {
    slotMicros: Math.round(slot.atRedisMs * 1000),
    full,
    least: Math.max(1, full / 50),
    retryAfterMicros: Math.round(Math.min(retryAfterMs, MAX_RETRY_AFTER_MS) * 1000),
    rate: slot.ratePerSecond,
  };
}
