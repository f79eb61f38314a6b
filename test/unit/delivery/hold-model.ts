import type {
  Blocked,
  Failing,
  HeardSlot,
  HoldState,
  HoldWord,
  Proof,
} from '../../../src/hold/hold-state.ts';

/** A hold that is on. */
export interface Held {
  readonly kind: string;
  readonly proof: Proof;
  readonly sinceMs: number;
  readonly probes: number;
  readonly nextProbeAtMs: number;
  /** The record whose call failed last as a probe, or began the hold. */
  readonly failedProbe: string;
  /** What a slot that is granted, or a fresh call that is cut, writes. */
  probeUntilMs: number;
  freshAt: number;
  readonly leaseMs: number;
}

interface Kept extends Held {
  kind: string;
  proof: Proof;
  code: number;
  causeAtMs: number;
  gapMs: number;
  firstGapMs: number;
  maxGapMs: number;
  nextProbeAtMs: number;
  probes: number;
  failedProbe: string;
  thenProof: Proof | undefined;
  leaseMs: number;
  hasShortLease: boolean;
}

const [OUTAGE_AFTER_MS, OUTAGE_CALLS, TROUBLE_FORGOTTEN_MS] = [5_000, 3, 120_000];
const [BRAKE_CALLS, BRAKE_USERS, QUICK_PROBES] = [5, 100, 3];
const [RECENT_MS, APP_FAILURES, PASSED_EVERY_MS] = [5_000, 3, 50];
const [SHORT_GAP_MS, SHORT_MAX_GAP_MS, FLAP_MS, CALL_MAX_GAP_MS] = [1_000, 3_000, 60_000, 15_000];
const [SHORT_LEASE_MS, LEASE_MS, ANSWER_WAY_MS] = [2_000, 5_000, 500];
const [FIRST_GAP_MS, MAX_GAP_MS] = [1_000, 60_000];

const NO_RECORD: Failing = { callId: '', failedAtMs: 0 };

interface Answered {
  readonly errorCode: number;
}

/**
 * The fleet's hold without Redis: hold.lua and hold-shared.lua rule by rule, on the model's clock. It leaves out what faults do
 * not touch: pauses, clocks that are set back, and the account quota with its newcomers.
 */
export class HoldModel implements HoldState {
  readonly #nowMs: () => number;
  readonly #changed: () => void;
  #epoch = 0;
  #heldMs = 0;
  #passedAtMs = 0;
  #failedBy: string | undefined;
  #appFailures = 0;
  readonly #lone = new Set<string>();
  #bad = { calls: 0, users: 0 };
  #trouble: { sinceMs: number; calls: number; atMs: number } | undefined;
  #held: Kept | undefined;
  #cleared: { atMs: number; code: number; gapMs: number; by: 'call' | 'check' } | undefined;

  /** `changed`: the channel says something, so that who waits looks again. */
  constructor(nowMs: () => number, changed: () => void) {
    this.#nowMs = nowMs;
    this.#changed = changed;
  }

  #change(): void {
    this.#epoch += 1;
    this.#changed();
  }

  #isCurrent(slot: HeardSlot): boolean {
    return slot.epoch === String(this.#epoch);
  }

  #startOf({ atRedisMs }: HeardSlot): number {
    return Math.round(atRedisMs ?? 0);
  }

  #calm(): void {
    this.#bad = { calls: 0, users: 0 };
    this.#trouble = undefined;
  }

  #endHold(by: 'call' | 'check'): void {
    if (this.#held === undefined) return;
    this.#heldMs += this.#nowMs() - this.#held.sinceMs;
    this.#cleared = { atMs: this.#nowMs(), code: this.#held.code, gapMs: this.#held.gapMs, by };
    this.#held = undefined;
    this.#change();
  }

  /** A settlement tells that accounts passed. */
  callPassed(startMs: number): void {
    this.#calm();
    this.#failedBy = undefined;
    this.#appFailures = 0;
    if (startMs > this.#passedAtMs + PASSED_EVERY_MS) this.#passedAtMs = startMs;
    if (this.#held !== undefined && startMs > this.#held.causeAtMs) this.#endHold('call');
  }

  #isRecent(): boolean {
    return this.#nowMs() - this.#passedAtMs <= RECENT_MS;
  }

  #othersPass(slot: HeardSlot, { failedAtMs }: Failing): boolean {
    const since = failedAtMs > 0 ? Math.round(failedAtMs) : this.#startOf(slot);
    return since > 0 && this.#passedAtMs >= since;
  }

  #whose(slot: HeardSlot, failing: Failing): HoldWord {
    const { callId } = failing;
    if (this.#othersPass(slot, failing)) return 'others-pass';
    if (this.#isCurrent(slot) && callId !== '' && this.#failedBy !== callId && this.#failedBy !== '*')
      this.#failedBy = this.#failedBy === undefined ? callId : '*';
    if (this.#failedBy !== callId) return 'noted';
    this.#lone.add(callId);
    return 'lone';
  }

  #begin(
    slot: HeardSlot,
    kind: string,
    proof: Proof,
    code: number,
    [gapMs, firstGapMs, maxGapMs]: readonly [number, number, number],
    { callId }: Failing,
    thenProof?: Proof,
  ): HoldWord {
    const hasShortLease = kind === 'outage' || kind === 'brake';
    this.#held = {
      ...{ kind, proof, thenProof, code, gapMs, firstGapMs, maxGapMs, hasShortLease, failedProbe: callId },
      sinceMs: this.#nowMs(),
      causeAtMs: this.#startOf(slot),
      nextProbeAtMs: this.#nowMs() + gapMs,
      leaseMs: hasShortLease ? SHORT_LEASE_MS : LEASE_MS,
      probes: 0,
      probeUntilMs: 0,
      freshAt: -1,
    };
    this.#calm();
    this.#change();
    return 'set';
  }

  #postpone(hold: Kept, callId: string, isSuspect = false): void {
    const gapMs = hold.gapMs;
    hold.probes += 1;
    hold.gapMs = Math.min(hold.maxGapMs, Math.max(hold.firstGapMs, 2 * hold.gapMs));
    if (hold.probes < QUICK_PROBES && (hold.kind === 'brake' || hold.thenProof !== undefined)) hold.gapMs = 0;
    else if (hold.thenProof !== undefined) {
      Object.assign(hold, { gapMs: hold.firstGapMs, proof: hold.thenProof, thenProof: undefined });
      this.#epoch += 1;
    }
    hold.nextProbeAtMs = this.#nowMs() + (isSuspect ? Math.min(hold.gapMs, hold.firstGapMs) : hold.gapMs);
    if (isSuspect) hold.gapMs = gapMs;
    hold.probeUntilMs = 0;
    if (callId !== '') hold.failedProbe = callId;
    this.#changed();
  }

  #isNewRow(): boolean {
    return this.#trouble === undefined || this.#nowMs() - this.#trouble.atMs > TROUBLE_FORGOTTEN_MS;
  }

  /** A probe that proves nothing, where an answer says nothing new. */
  #proves(slot: HeardSlot, { callId }: Failing): HoldWord | undefined {
    if (this.#held === undefined) return undefined;
    if (slot.probe && this.#isCurrent(slot)) this.#postpone(this.#held, callId, true);
    return 'held';
  }

  async success(slot: HeardSlot, callId = ''): Promise<HoldWord> {
    const wasHeld = this.#held !== undefined;
    if (callId === '') this.#calm();
    else this.callPassed(this.#startOf(slot));
    if (this.#held === undefined) return wasHeld ? 'cleared' : 'noted';
    if (!slot.probe || !this.#isCurrent(slot)) return 'held';
    this.#endHold(callId === '' ? 'check' : 'call');
    return 'cleared';
  }

  async suspect(slot: HeardSlot, failing: Failing, proved: boolean): Promise<HoldWord> {
    const word = this.#proves(slot, failing);
    if (word !== undefined) return word;
    if (this.#othersPass(slot, failing)) return 'others-pass';
    return proved && this.#failedBy === undefined ? 'lone' : 'noted';
  }

  async compare(slot: HeardSlot, failing: Failing): Promise<HoldWord> {
    const word = this.#proves(slot, failing);
    if (word !== undefined) return word;
    const told = this.#whose(slot, failing);
    return told === 'lone' && !this.#isRecent() ? 'noted' : told;
  }

  async bad(slot: HeardSlot, newUsers: number, answer: Answered, failing = NO_RECORD): Promise<HoldWord> {
    if (this.#held !== undefined) {
      if (!slot.probe || !this.#isCurrent(slot)) return 'held';
      if (this.#held.kind !== 'brake') {
        this.#endHold(failing.callId === '' ? 'check' : 'call');
        return 'cleared';
      }
      this.#postpone(this.#held, failing.callId);
      return 'postponed';
    }
    this.#trouble = undefined;
    const word = this.#whose(slot, failing);
    if (!this.#isCurrent(slot) || word === 'others-pass') return word;
    this.#bad = { calls: this.#bad.calls + 1, users: this.#bad.users + newUsers };
    if (this.#bad.calls < BRAKE_CALLS || this.#bad.users < BRAKE_USERS) return word;
    return this.#begin(
      slot,
      'brake',
      'scout',
      answer.errorCode,
      [0, SHORT_GAP_MS, SHORT_MAX_GAP_MS],
      failing,
    );
  }

  async silent(slot: HeardSlot): Promise<HoldWord> {
    if (this.#held !== undefined) return 'held';
    if (this.#isCurrent(slot) && this.#isNewRow())
      this.#trouble = { sinceMs: this.#nowMs(), atMs: this.#nowMs(), calls: 0 };
    return 'noted';
  }

  async trouble(slot: HeardSlot, answer: Answered, failing = NO_RECORD): Promise<HoldWord> {
    if (this.#held !== undefined) {
      if (!slot.probe || !this.#isCurrent(slot)) return 'held';
      const hasOutlived =
        this.#held.hasShortLease && this.#nowMs() - this.#startOf(slot) > SHORT_LEASE_MS + ANSWER_WAY_MS;
      if (!hasOutlived) this.#postpone(this.#held, failing.callId);
      return 'waiting';
    }
    const word = this.#whose(slot, failing);
    if (!this.#isCurrent(slot) || word === 'others-pass') return word;
    if (this.#trouble === undefined || this.#isNewRow()) {
      this.#trouble = { sinceMs: this.#nowMs(), atMs: this.#nowMs(), calls: 1 };
      return word;
    }
    this.#trouble = { ...this.#trouble, calls: this.#trouble.calls + 1, atMs: this.#nowMs() };
    if (this.#trouble.calls < OUTAGE_CALLS || this.#nowMs() - this.#trouble.sinceMs < OUTAGE_AFTER_MS)
      return word;
    const gaps = [SHORT_GAP_MS, SHORT_GAP_MS, SHORT_MAX_GAP_MS] as const;
    return this.#begin(slot, 'outage', 'import', answer.errorCode, gaps, failing);
  }

  async blocked(slot: HeardSlot, why: Blocked, failing = NO_RECORD): Promise<HoldWord> {
    const { kind, errorCode, minProbeGapMs = 0 } = why;
    const first = Math.max(FIRST_GAP_MS, minProbeGapMs);
    let most = Math.max(first, MAX_GAP_MS);
    if (this.#held !== undefined) {
      if (!slot.probe || !this.#isCurrent(slot)) return 'held';
      if (this.#held.proof === 'import') most = Math.max(first, Math.min(most, CALL_MAX_GAP_MS));
      Object.assign(this.#held, { firstGapMs: first, maxGapMs: most, code: errorCode });
      if (this.#held.kind !== kind) {
        Object.assign(this.#held, { kind, proof: 'check', leaseMs: LEASE_MS, hasShortLease: false });
        this.#epoch += 1;
      }
      this.#postpone(this.#held, failing.callId);
      return 'postponed';
    }
    const word = this.#whose(slot, failing);
    if (!this.#isCurrent(slot) || word === 'others-pass') return word;
    // A code that wants quiet gets it at once.
    const isAfterHold = this.#cleared?.by === 'check' && this.#nowMs() - this.#cleared.atMs < FLAP_MS;
    if (this.#isRecent() && !isAfterHold && first <= SHORT_GAP_MS) {
      this.#appFailures += 1;
      if (this.#appFailures < APP_FAILURES) return word;
      return this.#begin(slot, kind, 'import', errorCode, [0, first, most], failing, 'check');
    }
    if (!isAfterHold || this.#cleared?.code !== errorCode)
      return this.#begin(slot, kind, 'check', errorCode, [first, first, most], failing);
    most = Math.max(first, Math.min(most, CALL_MAX_GAP_MS));
    const gap = Math.min(most, Math.max(first, 2 * this.#cleared.gapMs));
    return this.#begin(slot, kind, 'import', errorCode, [gap, first, most], failing);
  }

  async missed(slot: HeardSlot): Promise<HoldWord> {
    if (this.#held === undefined) return 'noted';
    if (this.#isCurrent(slot)) this.#held.probeUntilMs = 0;
    this.#changed();
    return 'waiting';
  }

  newcomer(): Promise<never> {
    return notModelled();
  }

  pause(): Promise<never> {
    return notModelled();
  }

  resume(): Promise<never> {
    return notModelled();
  }

  read(): Promise<never> {
    return notModelled();
  }

  get epoch(): string {
    return String(this.#epoch);
  }

  /** Milliseconds of holds that ended. */
  get heldMs(): number {
    return this.#heldMs;
  }

  /** When the newest call started in which accounts passed. */
  get passedAtMs(): number {
    return this.#passedAtMs;
  }

  get held(): Held | undefined {
    return this.#held;
  }

  /** Whether an answer against this record found nobody to compare with. */
  isLone(callId: string): boolean {
    return this.#lone.has(callId);
  }
}

function notModelled(): Promise<never> {
  return Promise.reject(new Error('not part of the model'));
}
