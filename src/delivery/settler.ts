import type { InvalidEntry, RawEntry } from '../event/event.ts';
import type { CommandName } from '../im/commands.ts';
import { type Attempt, type CallRecord, entriesOf, type Suspicion, withAttempt } from '../ledger/record.ts';
import type { Settled, Settlement } from '../ledger/settle.ts';
import type { Decision } from './policy/decision.ts';
import { invalidLetter, refusedLetter } from './policy/letter.ts';
import type { PendingUser } from './policy/pending-user.ts';
import {
  invalidSettlement,
  type KeptState,
  type Remaining,
  remainingAfter,
  settlementOf,
} from './policy/settlement.ts';

/** Events that a call brought to an end. */
interface Ended extends Pick<Decision, 'imported' | 'refused'> {
  readonly command: CommandName;
  /** When the call started, if it proves that accounts pass and the fleet was not told yet; else 0. */
  readonly passedAtMs: number;
}

interface SettlerOptions {
  readonly record: CallRecord;
  readonly users: Remaining;
  readonly store: (settlement: Settlement) => Promise<Settled>;
  /** Whether calls of this record may be on the wire. */
  readonly isOnWire: () => boolean;
}

/**
 * What is left of a record while a run works on it. Its calls end at any time; their settlements go out one
 * after the other.
 */
export class Settler {
  readonly #options: SettlerOptions;
  #remaining: Remaining;
  #kept: Omit<KeptState, 'onWire'>;
  #entriesRead: ReadonlyMap<string, RawEntry> | undefined;
  #lastStored: Promise<unknown> = Promise.resolve();

  constructor(options: SettlerOptions) {
    const { tries, attempts, suspects, firstSentAtMs, heldMsAtFirst } = options.record;
    this.#options = options;
    this.#remaining = options.users;
    this.#kept = { tries, attempts, suspects, dueAtMs: 0, firstSentAtMs, heldMsAtFirst };
  }

  /** Users who are not settled yet. */
  get remaining(): readonly PendingUser[] {
    return [...this.#remaining.values()];
  }

  /** What the record keeps if users stay in it. */
  get kept(): Omit<KeptState, 'onWire'> {
    return this.#kept;
  }

  /** The first call of the record was sent. Later calls change nothing. */
  began(atRedisMs: number, heldMs: number): void {
    if (this.#kept.firstSentAtMs === 0)
      this.#kept = { ...this.#kept, firstSentAtMs: atRedisMs, heldMsAtFirst: heldMs };
  }

  /** Users wait for another run of the record. */
  postpone(users: readonly PendingUser[], dueAtMs: number, attempt: Attempt): void {
    const suspects = new Map<string, Suspicion>(this.#kept.suspects);
    for (const { userId, suspicion } of users) if (suspicion !== null) suspects.set(userId, suspicion);
    this.#kept = {
      ...this.#kept,
      suspects,
      tries: this.#options.record.tries + 1,
      attempts: withAttempt(this.#kept.attempts, attempt),
      dueAtMs: Math.max(this.#kept.dueAtMs, dueAtMs),
    };
  }

  /** 'lost': another run owns the record, and nothing was changed. Rejects when Redis breaks off. */
  settle(ended: Ended): Promise<Settled['kind']> {
    const stored = this.#lastStored.then(() => this.#store(ended));
    this.#lastStored = stored.catch(() => undefined);
    return stored;
  }

  /** Invalid entries leave the record first: they must not wait for a hold to end. */
  async settleInvalid(invalid: readonly InvalidEntry[]): Promise<Settled['kind']> {
    const deaths = invalid.flatMap((entry) => {
      const raw = this.#entries().get(entry.eventId);
      return raw === undefined ? [] : [{ raw, letter: invalidLetter(raw, entry) }];
    });
    if (deaths.length === 0) return 'settled';
    const settlement = invalidSettlement({
      invalid: deaths,
      remaining: this.#remaining,
      entries: () => this.#entries(),
      kept: this.#keptNow(),
    });
    return (await this.#options.store(settlement)).kind;
  }

  async #store({ imported, refused, command, passedAtMs }: Ended): Promise<Settled['kind']> {
    const { record, store } = this.#options;
    const after = remainingAfter(this.#remaining, { imported, refused });
    const settlement = settlementOf({
      before: this.#remaining,
      after,
      decision: { imported, refused },
      entries: () => this.#entries(),
      letter: (raw, one) => refusedLetter(raw, one, command, record.attempts),
      kept: this.#keptNow(),
    });
    const { kind } = await store({ ...settlement, passedAtMs });
    if (kind === 'settled') this.#remaining = after;
    return kind;
  }

  #keptNow(): KeptState {
    return { ...this.#kept, onWire: this.#options.isOnWire() };
  }

  #entries(): ReadonlyMap<string, RawEntry> {
    this.#entriesRead ??= new Map(entriesOf(this.#options.record).map((entry) => [entry.eventId, entry]));
    return this.#entriesRead;
  }
}
