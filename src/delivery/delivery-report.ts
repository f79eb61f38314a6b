import type { FaultName } from '../im/answers.ts';
import type { DeliveryCommand } from '../im/bodies.ts';
import type { Verdict } from '../im/verdicts.ts';
import type { Settled, Settlement } from '../ledger/settle.ts';
import type { BreakerEvents } from './breaker.ts';

/** What the rest of the process hears of the calls: log, metrics, the coalescer. */
export interface DeliveryReport extends BreakerEvents {
  called(call: CallReport): void;
  gaveUp(command: DeliveryCommand, lateMs: number): void;
  settled(callId: string, settlement: Settlement, settled: Settled): void;
  foreign(callId: string, format: string): void;
}

export interface CallReport {
  readonly callId: string;
  readonly command: DeliveryCommand;
  readonly slotClass: string;
  readonly users: readonly string[];
  /** IDs in FailAccounts that were never sent; they mean nothing. */
  readonly strangers: number;
  readonly tries: number;
  readonly verdict: Verdict;
  /** Set when no usable answer came. */
  readonly fault: FaultName | undefined;
  readonly durationMs: number;
  readonly imported: number;
  readonly deadLettered: number;
  readonly later: number;
  readonly again: number;
  readonly requestId: string | undefined;
}
