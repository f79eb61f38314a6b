import type { EventRules, ValidEntry } from '../event/event.ts';
import type { HoldWatch } from '../hold/hold-watch.ts';
import type { Answer } from '../im/answers.ts';
import type { DeliveryCommand, ImportCommand } from '../im/bodies.ts';
import type { ImClient } from '../im/client.ts';
import type { Verdict, VerdictOverrides } from '../im/verdicts.ts';
import type { Settled, Settlement } from '../ledger/settle.ts';
import type { SlotClass } from '../pace/budget.ts';
import type { AppRedis } from '../redis/keys.ts';
import type { CallTracer } from '../tracing/call-tracer.ts';
import type { Admission } from './admission.ts';
import type { BreakerEvents, BreakerOptions } from './breaker.ts';
import type { Learned } from './learn-from-answer.ts';
import type { Decision, DecisionPolicy } from './policy/decision.ts';
import type { ApiRequest } from './policy/pending-user.ts';

/** What a process delivers with. */
export interface DeliveryOptions extends AppRedis, BreakerOptions, Learned {
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
  /** Makes jobs of calls that a settlement made. Never rejects: the sweep makes up for a failure. */
  readonly handOver: (command: ImportCommand, callIds: readonly string[]) => Promise<void>;
  /** Absent unless traces are on. */
  readonly tracer?: CallTracer | undefined;
}

/** What the rest of the process hears of the calls: log, metrics, the coalescer. */
export interface DeliveryReport extends BreakerEvents {
  called(call: CallReport): void;
  gaveUp(command: DeliveryCommand, lateMs: number): void;
  settled(callId: string, settlement: Settlement, settled: Settled): void;
  /** Events of a new record that look odd and are imported all the same. */
  odd?(callId: string, entries: readonly ValidEntry[]): void;
  /** A call of another version was met, and left for that version. */
  left?(callId: string, format: string): void;
}

/** A call that was answered, and what came of it. */
export interface CallReport {
  readonly callId: string;
  readonly tries: number;
  readonly request: ApiRequest;
  readonly slotClass: SlotClass;
  readonly answer: Answer;
  readonly durationMs: number;
  readonly verdict: Verdict;
  readonly failAccounts: readonly string[];
  /** Users of the request who stand in FailAccounts. All others there were never sent, and mean nothing. */
  readonly failed: number;
  /** Undefined when the answer says nothing about the users: they are called again. */
  readonly decision: Decision | undefined;
}

/** What became of the users of a call; `again`: they are called again in this run. */
export function countsOf({ request, decision }: Pick<CallReport, 'request' | 'decision'>) {
  return {
    imported: decision?.imported.length ?? 0,
    deadLettered: decision?.refused.length ?? 0,
    later: decision?.later.length ?? 0,
    again: decision?.again.reduce((sum, { users }) => sum + users.length, 0) ?? request.users.length,
  };
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
    odd: (...told) => each((report) => report.odd?.(...told)),
    left: (...told) => each((report) => report.left?.(...told)),
  };
}
