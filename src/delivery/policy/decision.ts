import type { ValidEntry } from '../../event/event.ts';
import type { Verdict } from '../../im/verdicts.ts';
import type { DeadReason } from '../../ledger/letters/dead-letters.ts';
import type { ApiRequest, Commands, PendingUser } from './pending-user.ts';

/** An event that ends as a dead letter, and the answer that says so. */
export interface Refused {
  readonly user: PendingUser;
  readonly entry: ValidEntry;
  readonly reason: DeadReason;
  readonly verdict: Verdict;
}

/** What one answer means for every user of its call. Each of them stands in exactly one of the lists. */
export interface Decision {
  /** Their newest event is in; older ones are superseded. */
  readonly imported: readonly PendingUser[];
  /** Events that end. Their users are done, unless an older event of theirs stands in `again`. */
  readonly refused: readonly Refused[];
  /** Calls that follow in this run. */
  readonly again: readonly ApiRequest[];
  /** To be called again after a while. */
  readonly later: readonly PendingUser[];
}

/** Whose fault a failure without an explaining code is, by the calls of others (hold/hold-state.ts). */
export type Whose =
  /** Calls of others have passed since these users failed: the fault follows them. */
  | 'theirs'
  /** Nobody else failed and nobody passed: there is nobody to compare with. */
  | 'lone'
  | 'unknown';

export interface DecisionPolicy {
  readonly commands: Commands;
  readonly onProfileFault: 'import-bare' | 'dead-letter';
  readonly whose: Whose;
  /** Calls in a row of the same users that must fail before the users are split; two at least. */
  readonly splitAfter: number;
  /** Calls of a suspect alone that must fail before the event ends; three at least. */
  readonly endAfter: number;
  /** When the call started, ms since 1970, Redis's clock. */
  readonly startedAtMs: number;
  /** Earlier answers of this record with the same code. */
  readonly sameAnswers: number;
  /** Too old to be tried again. */
  readonly expired: boolean;
}

export const nothing: Decision = { imported: [], refused: [], again: [], later: [] };
