import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { askScript, loadScript } from '../redis/script.ts';

/**
 * The hold: a fault of the app is not a fault of its accounts.
 *
 *            blocked · 5 bad in a row · 5 s of trouble            nextProbeAt reached, lease free
 *   running ──────────────────────────────────────────▶ held(kind) ───────────────────────────▶ probing
 *      ▲                                                   ▲   proves nothing, or the prober died │
 *      │                                                   └──────────────────────────────────────┤
 *      └───────────────────────────── the probe proves that calls succeed ────────────────────────┘
 *
 * - *running*: calls get slots.
 * - *held(kind)*: no slot is granted. Calls on the wire finish; what they say comes from an older epoch and
 *   changes nothing. Events wait in the stream. Time held counts against no event.
 * - *probing*: one call of the fleet is out, under a lease. If its process dies, another one probes then.
 *
 * What starts a hold, and what its probes must prove:
 * - an answer of class `app` (credentials, region, permission, disabled, configuration): account_check of an
 *   ID that does not exist must pass. If calls are held again right after, the check was not proof enough:
 *   from then on a waiting call is the probe.
 * - `quota` (70398): an account that does not exist yet must be imported. account_check finds one among the
 *   calls that wait, and that call is the probe: existing accounts pass whatever the plan says.
 * - `outage`, 5 s of transport faults, silence or transient answers without a success: any answer of the API.
 *   It is called `proxy` where the proxy in front of the API lets no call through.
 * - `brake`, five answers in a row that would dead-letter, over 100 different users, without a success: one
 *   account must be imported. Its probes are single accounts (scouts), the first three without a gap: if
 *   accounts are at fault and not the app, one of them passes at once.
 *
 * Fields: hold-change.lua. Script: hold.lua. All of it lives in Redis, so it outlives every process.
 */

const holdScript = loadScript(
  import.meta.url,
  'hold-shared.lua',
  'hold-change.lua',
  'hold-answers.lua',
  'hold-blocked.lua',
  'hold.lua',
);

/** How a hold is proved to be over: see above. */
export type Proof = 'check' | 'new' | 'import' | 'scout';

/** Why no call of the app can succeed at present, as an operator reads it. */
export interface Hold extends ApiWords {
  readonly kind: string;
  /** ms since 1970, Redis's clock. */
  readonly since: number;
  readonly nextProbeAt: number;
}

export interface Pause {
  readonly reason: string;
  readonly since: number;
  /** Who paused; absent in a pause of an earlier version. */
  readonly by?: string;
}

export interface FleetState {
  readonly epoch: string;
  readonly hold: Hold | null;
  readonly proof: Proof | null;
  readonly pause: Pause | null;
  /** Milliseconds spent in holds that ended. */
  readonly heldMs: number;
}

/** What the API said, or what is said in its place. */
interface ApiWords {
  readonly errorCode: number;
  readonly errorInfo: string;
}

/** An answer of class `app`, with what its hold is called. */
export interface Blocked extends ApiWords {
  readonly kind: string;
  readonly minProbeGapMs?: number;
}

/** Gaps between probes: doubling from the first to the greatest. The account quota changes slowly. */
const FIRST_GAP_MS = 1_000;
const FIRST_QUOTA_GAP_MS = 5_000;
const MAX_GAP_MS = 60_000;
/** How long the call that was found may take to come for its slot; then another one is looked for. */
const NEWCOMER_MS = 10_000;

/**
 * - `set`, `postponed`, `waiting`: the fleet is held. `held`: it is, and the answer is from before that.
 * - `cleared`: it was held until this answer. `noted`: it is not held.
 * - `others-pass`: not held, and calls of others have passed since these users failed: the fault is theirs.
 * - `lone`: not held, and of late this call record alone has failed, suspects aside, and none has passed.
 */
export type HoldWord =
  | ('set' | 'postponed' | 'waiting' | 'held' | 'cleared' | 'noted' | 'others-pass' | 'lone')
  | ('paused' | 'resumed' | 'same');

export interface HeardSlot {
  readonly epoch: string;
  readonly probe: boolean;
  /** When its call started, by Redis's clock, ms since 1970; absent: not known, so that it proves nothing. */
  readonly atRedisMs?: number;
}

/** Whose call failed: what tells a fault of these users from one of the app. */
export interface Failing {
  readonly callId: string;
  /** When a call of these same users failed before, by Redis's clock, ms since 1970; 0: this is the first. */
  readonly failedAtMs: number;
}

const NO_RECORD: Failing = { callId: '', failedAtMs: 0 };

/** Tells the fleet's state machine what was heard. Each step is one script; all processes hear of changes. */
export type HoldState = Readonly<ReturnType<typeof createHoldState>>;

export function createHoldState(redis: RedisClient, keys: Keys) {
  const run = async (
    op: string,
    slot: HeardSlot,
    { callId, failedAtMs }: Failing = NO_RECORD,
    more: Readonly<Record<string, string | number | boolean>> = {},
  ): Promise<HoldWord> => {
    const startMs = Math.round(slot.atRedisMs ?? 0);
    const request = {
      op,
      epoch: slot.epoch,
      isProbe: slot.probe,
      startMs,
      callId,
      failedSinceMs: failedAtMs > 0 ? Math.round(failedAtMs) : startMs,
      ...more,
    };
    return (await askScript(redis, holdScript, keys, request)) as HoldWord;
  };
  const nobody: HeardSlot = { epoch: '', probe: false };
  return {
    /** `callId`: the record whose call imported somebody; '' for a check. */
    success: (slot: HeardSlot, callId = '') => run('success', slot, { callId, failedAtMs: 0 }),
    /** `newUsers`: users that no earlier answer of their record spoke of. */
    bad: (slot: HeardSlot, newUsers: number, answer: ApiWords, failing?: Failing) =>
      run('bad', slot, failing, { newUsers, held: words('brake', answer) }),
    /** `kind`: what the hold is called; for the rest it is an outage. */
    trouble: (slot: HeardSlot, answer: ApiWords, failing?: Failing, kind = 'outage') =>
      run('trouble', slot, failing, { held: words(kind, answer) }),
    /** A call has been on the wire for seconds: unless a success comes, an outage is counted from now. */
    silent: (slot: HeardSlot) => run('silent', slot),
    blocked(slot: HeardSlot, { minProbeGapMs = 0, ...why }: Blocked, failing?: Failing) {
      const { kind, errorCode } = why;
      const firstGapMs = Math.max(kind === 'quota' ? FIRST_QUOTA_GAP_MS : FIRST_GAP_MS, minProbeGapMs);
      const maxGapMs = Math.max(firstGapMs, MAX_GAP_MS);
      const proof: Proof = kind === 'quota' ? 'new' : 'check';
      const held = words(kind, why);
      return run('blocked', slot, failing, { held, kind, proof, errorCode, firstGapMs, maxGapMs });
    },
    /**
     * A user who is suspected already failed alone once more: that says nothing about the fleet. `proved`:
     * others were seen to pass after a failure of this kind.
     */
    suspect: (slot: HeardSlot, failing: Failing, proved: boolean) =>
      run('suspect', slot, failing, { proved }),
    /** Whose fault a refused call seems to be; `lone` only while others have passed of late. */
    compare: (slot: HeardSlot, failing: Failing) => run('compare', slot, failing),
    /**
     * The check chose the call that is the next probe; `recordKey`: the Redis key of its record. `proves`: it
     * holds an account that does not exist yet. Else it passes, proves nothing, and makes room for another.
     */
    newcomer: (slot: HeardSlot, recordKey: string, proves: boolean) =>
      run('newcomer', slot, NO_RECORD, {
        call: recordKey,
        forMs: NEWCOMER_MS,
        proves: proves ? '1' : '0',
      }),
    /** The slot of a probe was not used. */
    missed: (slot: HeardSlot) => run('missed', slot),
    pause: (reason: string, sinceMs: number, by?: string) =>
      run('pause', nobody, NO_RECORD, { paused: JSON.stringify({ reason, since: sinceMs, by }) }),
    resume: () => run('resume', nobody),
    read: async () => readFleetState(await redis.hgetall(keys.hold)),
  };
}

const NONE_SUCCEEDED = 'for 5 s no call succeeded; the last one: ';

/** What an operator reads in place of a word of the API where the hold is our own conclusion. */
function words(kind: string, { errorCode, errorInfo }: ApiWords): string {
  const conclusion: Readonly<Record<string, string>> = {
    brake: 'five calls in a row over 100 users and more were refused, none passed; the last answer: ',
    outage: NONE_SUCCEEDED,
    proxy: NONE_SUCCEEDED,
  };
  return JSON.stringify({ errorCode, errorInfo: `${conclusion[kind] ?? ''}${errorInfo}`, kind });
}

export function readFleetState(fields: Readonly<Record<string, string>>): FleetState {
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
    proof: why && ((fields.proof ?? 'import') as Proof),
    pause: fields.paused === undefined ? null : (JSON.parse(fields.paused) as Pause),
    heldMs: Number(fields.heldMs ?? 0),
  };
}
