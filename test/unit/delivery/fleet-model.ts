import type { DeliveryOptions } from '../../../src/delivery/delivery-options.ts';
import { LANDING_MS } from '../../../src/delivery/policy/backoff.ts';
import { Chance } from '../../../src/delivery/policy/chance.ts';
import type { ApiRequest } from '../../../src/delivery/policy/pending-user.ts';
import type { RawEntry } from '../../../src/event/event.ts';
import type { Answer } from '../../../src/im/answers.ts';
import { verdictOf } from '../../../src/im/verdicts.ts';
import { type CallRecord, freshRecord, packEntries } from '../../../src/ledger/record.ts';
import type { Settlement } from '../../../src/ledger/settle.ts';
import type { SlotClass } from '../../../src/pace/budget.ts';
import { commands } from './entries.ts';
import { type Held, HoldModel } from './hold-model.ts';
import { createPaceModel, type PaceModel } from './pace-model.ts';
import { type Made, runRecord } from './run-model.ts';
import type { VirtualTime } from './virtual-time.ts';

/** What the API answers to a call that starts now, and after how long. `request`: null for the check that probes a hold. */
export type Api = (request: ApiRequest | null) => { readonly answer: Answer; readonly durationMs: number };

export interface FleetOptions {
  readonly time: VirtualTime;
  readonly api: Api;
  readonly random: () => number;
  readonly maxAgeMs: number;
  /** `isLone`: there was nobody to compare the record with. */
  readonly onSettled: (settlement: Settlement, isLone: boolean) => void;
  /** The fleet is held, or not any more. */
  readonly onHold: (kind: string | undefined) => void;
}

type PacedCommand = 'multiaccount_import' | 'account_import' | 'account_check';

/** A call record, and when its next run is due: the place that it has among the open calls. */
interface Kept {
  record: CallRecord;
  dueMs: number;
  isIsolated: boolean;
}

const RETRY = { baseMs: 1_000, maxMs: 60_000 };
const CUT = { maxUsers: 100, maxWaitMs: 200, maxOpen: 198, eagerCalls: 19.8, eagerGapMs: 10.1 };
const [LOOK_HELD_MS, LOOK_FULL_MS] = [1_000, 50];

/**
 * A worker without Redis and without a network, in virtual time. What an answer means is worked out by the project's own breaker.ts
 * and policy. Modelled are the hold, the slots, a run (run-model.ts), and here cut.lua's choice of when and how many, and
 * prober.ts.
 */
export class FleetModel {
  readonly #options: FleetOptions;
  readonly #hold: HoldModel;
  readonly #pace: Readonly<Record<PacedCommand, PaceModel>>;
  readonly #delivery: DeliveryOptions;
  readonly #refusals = createRefusalRate();
  readonly #stream: RawEntry[] = [];
  readonly #open = new Map<string, Kept>();
  #heldKind: string | undefined;
  #calls = 0;
  #cutAtMs = 0;
  #lookMs = Number.POSITIVE_INFINITY;
  #bodyLimit = { bytes: Number.MAX_VALUE, untilMs: 0 };

  constructor(options: FleetOptions) {
    const { time } = options;
    this.#options = options;
    this.#hold = new HoldModel(
      () => time.nowMs,
      () => this.#holdChanged(),
    );
    this.#pace = {
      multiaccount_import: createPaceModel('multiaccount_import', 100, time, this.#hold),
      account_import: createPaceModel('account_import', 200, time, this.#hold),
      account_check: createPaceModel('account_check', 100, time, this.#hold),
    };
    this.#delivery = this.#deliveryOptions();
    void this.#probe();
  }

  /** An event comes in. */
  push(entry: RawEntry): void {
    this.#stream.push(entry);
    this.#lookAt(this.#options.time.nowMs);
  }

  #deliveryOptions(): DeliveryOptions {
    const { time, random, maxAgeMs } = this.#options;
    return {
      ...{ hold: this.#hold, limiters: this.#pace, commands, random },
      chance: new Chance(() => time.nowMs),
      batchSize: {
        saw: this.#refusals.saw,
        tooLarge: (bytes: number, wasRefused: boolean) =>
          this.#limitBody(bytes, wasRefused ? 600_000 : 60_000),
      },
      onProfileFault: 'import-bare',
      retry: { ...RETRY, maxAgeMs },
      signAnew: () => undefined,
      report: { throttled: () => undefined },
      // What only the parts with Redis and the network use is left out.
    } as unknown as DeliveryOptions;
  }

  #holdChanged(): void {
    const { time, onHold } = this.#options;
    const kind = this.#hold.held?.kind;
    if (kind !== this.#heldKind) onHold(kind);
    this.#heldKind = kind;
    for (const pace of Object.values(this.#pace)) pace.look();
    this.#lookAt(time.nowMs);
  }

  #limitBody(bytes: number, forMs: number): void {
    const untilMs = this.#options.time.nowMs + forMs;
    this.#bodyLimit = { bytes: Math.max(1_024, Math.floor(bytes / 2)), untilMs };
  }

  /** cut.lua: when. A user has one event, so that nobody is parked. */
  #look(): void {
    const { nowMs } = this.#options.time;
    if (this.#stream.length === 0) return;
    const waitMs = this.#waitMs(nowMs);
    if (waitMs > 0) {
      this.#lookAt(nowMs + Math.ceil(waitMs));
      return;
    }
    this.#cut(nowMs);
    this.#lookAt(nowMs + 1);
  }

  #waitMs(nowMs: number): number {
    const { held } = this.#hold;
    const kept = [...this.#open.values()];
    const open = kept.filter(({ isIsolated }) => !isIsolated).length;
    const isFresh =
      held !== undefined && held.freshAt !== held.probes && open < CUT.maxOpen + 50 && mayBeFresh(held);
    if (held !== undefined && !isFresh && kept.some(({ dueMs }) => dueMs <= nowMs)) return LOOK_HELD_MS;
    if (open >= CUT.maxOpen && !isFresh) return LOOK_FULL_MS;
    if (isFresh) held.freshAt = held.probes;
    if (this.#stream.length >= this.#maxUsers()) return 0;
    const headMs = Number(this.#stream[0]?.eventId.split('-')[0]);
    const dueInMs = CUT.maxWaitMs - (nowMs - headMs);
    const isQuiet = Math.max(this.#pace.multiaccount_import.startedLately(), open) < CUT.eagerCalls;
    return isQuiet ? Math.min(dueInMs, CUT.eagerGapMs - (nowMs - this.#cutAtMs)) : dueInMs;
  }

  #maxUsers(): number {
    return Math.min(CUT.maxUsers, this.#refusals.size());
  }

  /** cut.lua: how many. */
  #cut(nowMs: number): void {
    const maxBytes = this.#bodyLimit.untilMs > nowMs ? this.#bodyLimit.bytes : Number.MAX_VALUE;
    const entries: RawEntry[] = [];
    let bytes = 0;
    for (const next of this.#stream.slice(0, this.#maxUsers())) {
      bytes += packEntries([next]).length - 2;
      if (entries.length > 0 && bytes > maxBytes) break;
      entries.push(next);
    }
    this.#stream.splice(0, entries.length);
    this.#calls += 1;
    const callId = `c${this.#calls}`;
    this.#cutAtMs = nowMs;
    const record = freshRecord(callId, commands.batch, packEntries(entries), nowMs);
    this.#open.set(callId, { record, dueMs: nowMs, isIsolated: false });
    void this.#run(callId);
  }

  #lookAt(ms: number): void {
    if (ms >= this.#lookMs) return;
    this.#lookMs = ms;
    this.#options.time.at(ms, () => {
      if (this.#lookMs !== ms) return;
      this.#lookMs = Number.POSITIVE_INFINITY;
      this.#look();
    });
  }

  async #run(callId: string): Promise<void> {
    const { time, onSettled } = this.#options;
    const kept = this.#open.get(callId);
    if (kept === undefined) return;
    kept.dueMs = time.nowMs;
    const { record } = kept;
    const claimed = { record, passedAtMs: record.tries > 0 ? this.#hold.passedAtMs : 0 };
    await runRecord(
      this.#delivery,
      claimed,
      time,
      (request, slotClass) => this.#call(callId, request, slotClass),
      (settlement) => {
        const isLone = this.#hold.isLone(callId);
        if (settlement.passedAtMs) this.#hold.callPassed(Math.round(settlement.passedAtMs));
        this.#keep(callId, settlement);
        onSettled(settlement, isLone);
      },
    );
    if (this.#open.has(callId)) time.at(kept.dueMs, () => void this.#run(callId));
  }

  async #call(callId: string, request: ApiRequest, slotClass: SlotClass): Promise<Made> {
    const { time, api } = this.#options;
    const slot = await this.#pace[request.command as PacedCommand].take(callId, slotClass);
    const { answer, durationMs } = api(request);
    if (!slot.probe && durationMs > LANDING_MS)
      time.at(slot.atLocalMs + LANDING_MS, () => void this.#hold.silent(slot));
    await time.until(slot.atLocalMs + durationMs);
    return { slot, answer, durationMs };
  }

  #keep(callId: string, { kept: stays }: Settlement): void {
    const { nowMs } = this.#options.time;
    const kept = this.#open.get(callId);
    if (kept === undefined || stays === null) {
      this.#open.delete(callId);
      this.#lookAt(nowMs);
      return;
    }
    const { entries, tries, attempts, suspects, dueAtMs, firstSentAtMs, heldMsAtFirst, isIsolated } = stays;
    const packed = packEntries(entries);
    const record = { ...kept.record, packed, tries, attempts, suspects, firstSentAtMs, heldMsAtFirst };
    Object.assign(kept, { record, dueMs: Math.max(nowMs, dueAtMs), isIsolated });
  }

  /** prober.ts: one check after the other, as slots come. */
  async #probe(): Promise<void> {
    const { time, api } = this.#options;
    const { slots, take } = this.#pace.account_check;
    for (;;) {
      const slot = await take('', 'check');
      const { answer, durationMs } = api(null);
      await time.until(slot.atLocalMs + durationMs);
      const verdict = verdictOf('account_check', answer);
      const { holdKind: kind = 'configuration' } = verdict;
      if (verdict.class === 'throttle') await slots.throttle(slot, 0);
      if (verdict.class === 'done') await this.#hold.success(slot);
      else if (verdict.class === 'app') await this.#hold.blocked(slot, { ...verdict, kind });
      else if (verdict.class === 'throttle' || verdict.class === 'retry')
        await this.#hold.trouble(slot, verdict);
      else await this.#hold.bad(slot, 0, verdict);
    }
  }
}

/** cut.lua: a fresh call goes ahead for each probe that may be one of many. */
function mayBeFresh({ kind, proof, probes }: Held): boolean {
  if (kind === 'brake') return probes >= 3 && probes % 2 === 1;
  return proof === 'import' && (kind === 'outage' || probes % 2 === 0);
}

/** batch-size.lua: how large a call should be while many users are refused. */
function createRefusalRate(): { saw(innocent: number, culprits: number): void; size(): number } {
  let users = 300;
  let found = 0;
  return {
    saw(innocent, culprits) {
      users += innocent + culprits;
      found += culprits;
      const fade = Math.min(1, 5_000 / users);
      users *= fade;
      found *= fade;
    },
    size: () => (found < 0.5 ? 100 : Math.max(10, Math.min(100, Math.floor(users / found)))),
  };
}
