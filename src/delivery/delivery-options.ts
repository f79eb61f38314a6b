import type { EventRules } from '../event/event.ts';
import type { HoldWatch } from '../hold/hold-watch.ts';
import type { FaultName } from '../im/answers.ts';
import type { DeliveryCommand } from '../im/bodies.ts';
import type { ImClient } from '../im/client.ts';
import type { Verdict, VerdictOverrides } from '../im/verdicts.ts';
import type { Settled, Settlement } from '../ledger/settle.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import type { CallTracer } from '../tracing/call-tracer.ts';
import type { Admission } from './admission.ts';
import type { BreakerEvents, BreakerOptions } from './breaker.ts';
import type { Learned } from './learn-from-answer.ts';
import type { DecisionPolicy } from './policy/decision.ts';

/** What a process delivers with. */
export interface DeliveryOptions extends BreakerOptions, Learned {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly client: Pick<ImClient, 'prepare'>;
  readonly watch: HoldWatch;
  readonly admission: Pick<Admission, 'acquire' | 'isClosed'>;
  /** What the configuration says of error codes. */
  readonly overrides: VerdictOverrides;
  readonly rules: EventRules;
  readonly onProfileFault: DecisionPolicy['onProfileFault'];
  readonly retry: { readonly baseMs: number; readonly maxMs: number; readonly maxAgeMs: number };
  readonly random: () => number;
  /** Called before a probe, so that a mended secret counts. */
  readonly readSecretAnew: () => void;
  /** Write every outcome to the stream of outcomes. */
  readonly allOutcomes: boolean;
  readonly report: DeliveryReport;
  /** Absent unless traces are on. */
  readonly tracer?: CallTracer | undefined;
}

/** What the rest of the process hears of the calls: log, metrics, the coalescer. */
export interface DeliveryReport extends BreakerEvents {
  called(call: CallReport): void;
  gaveUp(command: DeliveryCommand, lateMs: number): void;
  settled(callId: string, settlement: Settlement, settled: Settled): void;
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

/** Tells all reports the same. If one throws, `onTrouble` hears of it, and the delivery goes on. */
export function allOf(reports: readonly DeliveryReport[], onTrouble: (error: Error) => void): DeliveryReport {
  const each = (tell: (report: DeliveryReport) => void): void => {
    for (const report of reports) {
      try {
        tell(report);
      } catch (error) {
        onTrouble(error as Error);
      }
    }
  };
  return {
    called: (...told) => each((report) => report.called(...told)),
    gaveUp: (...told) => each((report) => report.gaveUp(...told)),
    settled: (...told) => each((report) => report.settled(...told)),
    throttled: (...told) => each((report) => report.throttled(...told)),
  };
}
