import type { InvalidEntry, RawEntry } from '../event/event.ts';
import type { CommandName } from '../im/commands.ts';
import { type Attempt, type CallRecord, entriesOf, type Suspicion, withAttempt } from '../ledger/record.ts';
import type { Settled, Settlement } from '../ledger/settle.ts';
import type { Decision, Refused } from './policy/decision.ts';
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

/**
 * What is left of a record while a run works on it. Its calls end at any time; their settlements go out one after
 * the other, and what ends while one is under way shares the next.
 */
export interface Settler {
  /** Users who are not settled yet. */
  remaining(): readonly PendingUser[];
  kept(): Omit<KeptState, 'onWire'>;
  /** The first call of the record was sent; later calls change nothing. */
  began(atRedisMs: number, heldMs: number): void;
  /** Users wait for another run of the record. */
  postpone(users: readonly PendingUser[], dueAtMs: number, attempt: Attempt): void;
  /** 'lost': another run owns the record, and nothing was changed. Rejects when Redis breaks off. */
  settle(ended: Ended): Promise<Settled['kind']>;
  /** Entries that do not hold up leave the record first: they must not wait for a hold to end. */
  settleInvalid(invalid: readonly InvalidEntry[]): Promise<Settled['kind']>;
}

interface Waiting {
  readonly ended: Ended;
  readonly resolve: (kind: Settled['kind']) => void;
  readonly reject: (error: unknown) => void;
}

export function createSettler(options: {
  readonly record: CallRecord;
  readonly users: Remaining;
  readonly store: (settlement: Settlement) => Promise<Settled>;
  /** Every outcome is told, not only those that were asked for. */
  readonly tellAll: boolean;
  /** Whether calls of this record may be on the wire. */
  readonly isOnWire: () => boolean;
}): Settler {
  const { record, store, isOnWire, tellAll } = options;
  let remaining = options.users;
  let read: ReadonlyMap<string, RawEntry> | undefined;
  // Only what fails or stays is asked for as it came.
  const entries = (): ReadonlyMap<string, RawEntry> => {
    read ??= new Map(entriesOf(record).map((entry) => [entry.eventId, entry]));
    return read;
  };
  let kept: Omit<KeptState, 'onWire'> = {
    tries: record.tries,
    attempts: record.attempts,
    suspects: record.suspects,
    dueAtMs: 0,
    firstSentAtMs: record.firstSentAtMs,
    heldMsAtFirst: record.heldMsAtFirst,
  };
  let waiting: Waiting[] = [];
  let storing = false;

  const storeAll = async (all: readonly Ended[]): Promise<Settled['kind']> => {
    const decision = {
      imported: all.flatMap(({ imported }) => imported),
      refused: all.flatMap(({ refused }) => refused),
    };
    const commands = new Map(all.flatMap(({ refused, command }) => refused.map((one) => [one, command])));
    const letter = (raw: RawEntry, refused: Refused) =>
      refusedLetter(raw, refused, commands.get(refused) ?? record.command, record.attempts);
    const after = remainingAfter(remaining, decision);
    const onWire = isOnWire();
    const passedAtMs = Math.max(...all.map((one) => one.passedAtMs));
    const { kind } = await store({
      passedAtMs,
      ...settlementOf({
        before: remaining,
        after,
        decision,
        entries,
        letter,
        kept: { onWire, ...kept },
        tellAll,
      }),
    });
    if (kind === 'settled') remaining = after;
    return kind;
  };

  const drain = async (): Promise<void> => {
    storing = true;
    while (waiting.length > 0) {
      const together = waiting;
      waiting = [];
      try {
        const kind = await storeAll(together.map(({ ended }) => ended));
        for (const { resolve } of together) resolve(kind);
      } catch (error) {
        for (const { reject } of together) reject(error);
      }
    }
    storing = false;
  };

  return {
    remaining: () => [...remaining.values()],
    kept: () => kept,
    began(atRedisMs, heldMs) {
      if (kept.firstSentAtMs === 0) kept = { ...kept, firstSentAtMs: atRedisMs, heldMsAtFirst: heldMs };
    },
    postpone(users, dueAtMs, attempt) {
      const suspects = new Map<string, Suspicion>(kept.suspects);
      for (const { userId, suspicion } of users) if (suspicion !== null) suspects.set(userId, suspicion);
      kept = {
        ...kept,
        suspects,
        tries: record.tries + 1,
        attempts: withAttempt(kept.attempts, attempt),
        dueAtMs: Math.max(kept.dueAtMs, dueAtMs),
      };
    },
    settle: (ended) =>
      new Promise((resolve, reject) => {
        waiting.push({ ended, resolve, reject });
        if (!storing) void drain();
      }),
    async settleInvalid(invalid) {
      const dead = invalid.flatMap((entry) => {
        const raw = entries().get(entry.eventId);
        return raw === undefined ? [] : [{ raw, letter: invalidLetter(raw, entry) }];
      });
      if (dead.length === 0) return 'settled';
      const now = { onWire: isOnWire(), ...kept };
      return (await store(invalidSettlement({ invalid: dead, remaining, entries, kept: now }))).kind;
    },
  };
}
