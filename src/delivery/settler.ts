import type { InvalidEntry, RawEntry } from '../event/event.ts';
import type { CommandName } from '../im/commands.ts';
import type { Letter } from '../ledger/letters/dead-letters.ts';
import { type Attempt, type CallRecord, entriesOf, type Suspicion, withAttempt } from '../ledger/record.ts';
import type { Settled, Settlement } from '../ledger/settle.ts';
import type { Decision } from './policy/decision.ts';
import { invalidLetter, refusedLetter } from './policy/letter.ts';
import type { PendingUser } from './policy/pending-user.ts';
import {
  type Death,
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
  settle({ imported, refused, command, passedAtMs }: Ended): Promise<Settled['kind']> {
    return this.#inTurn(() => {
      const deaths = refused.map((one) =>
        this.#death(one.entry, (raw) => refusedLetter(raw, one, command, this.#options.record.attempts)),
      );
      const after = remainingAfter(this.#remaining, { imported, refused });
      return this.#store(after, imported, deaths, passedAtMs);
    });
  }

  /** Invalid entries leave the record first: they must not wait for a hold to end. */
  async settleInvalid(invalid: readonly InvalidEntry[]): Promise<Settled['kind']> {
    if (invalid.length === 0) return 'settled';
    const deaths = invalid.map((entry) => this.#death(entry, (raw) => invalidLetter(raw, entry)));
    return this.#inTurn(() => this.#store(this.#remaining, [], deaths, 0));
  }

  #inTurn(store: () => Promise<Settled['kind']>): Promise<Settled['kind']> {
    const stored = this.#lastStored.then(store);
    this.#lastStored = stored.catch(() => undefined);
    return stored;
  }

  async #store(
    after: Remaining,
    imported: readonly PendingUser[],
    deaths: readonly Death[],
    passedAtMs: number,
  ): Promise<Settled['kind']> {
    const settlement = settlementOf({
      before: this.#remaining,
      after,
      imported,
      deaths,
      entries: () => this.#entries(),
      kept: { onWire: this.#options.isOnWire(), ...this.#kept },
    });
    const { kind } = await this.#options.store({ passedAtMs, ...settlement });
    if (kind === 'settled') this.#remaining = after;
    return kind;
  }

  #death({ eventId }: { readonly eventId: string }, letter: (raw: RawEntry) => Letter): Death {
    const raw = this.#entries().get(eventId);
    if (raw === undefined) throw new RangeError(`event ${eventId} is not of this record: a bug`);
    return { raw, letter: letter(raw) };
  }

  /** Read only when one fails or stays. */
  #entries(): ReadonlyMap<string, RawEntry> {
    this.#entriesRead ??= new Map(entriesOf(this.#options.record).map((entry) => [entry.eventId, entry]));
    return this.#entriesRead;
  }
}
