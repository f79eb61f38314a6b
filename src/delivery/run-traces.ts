import { performance } from 'node:perf_hooks';
import type { Verdict } from '../im/verdicts.ts';
import { attemptsOf, type CallRecord } from '../ledger/record.ts';
import type { CallTracer } from '../tracing/call-tracer.ts';
import type { ApiRequest } from './policy/pending-user.ts';

/** A call of the run that was answered. */
interface Traced {
  readonly request: ApiRequest;
  readonly slotClass: string;
  readonly verdict: Verdict;
  /** The name of what went wrong when no usable answer came. */
  readonly fault: string | undefined;
  readonly askedAtMs: number;
  readonly durationMs: number;
}

/** The spans of one run of a record: it knows which call was made for a user before. */
export class RunTraces {
  readonly #tracer: CallTracer;
  readonly #record: CallRecord;
  /** User to the traceparent of their last call in this run. */
  readonly #lastCalls = new Map<string, string>();

  constructor(tracer: CallTracer, record: CallRecord) {
    this.#tracer = tracer;
    this.#record = record;
  }

  /** Runs `follow` within the span of the call, as CallTracer does. */
  follow<T>(call: Traced, follow: (traceparent: string | undefined) => Promise<T>): Promise<T> {
    const { request, slotClass, verdict, fault, askedAtMs, durationMs } = call;
    const users = request.users.map(({ userId }) => userId);
    const isDone = verdict.class === 'done';
    const answered = {
      callId: this.#record.callId,
      command: request.command,
      slotClass,
      tries: this.#record.tries,
      users,
      eventCount: request.users.reduce((sum, { events }) => sum + events.length, 0),
      linked: () => ({
        events: request.users.flatMap(({ events }) =>
          events.map(({ eventId, event }) => ({ eventId, traceparent: event.traceparent })),
        ),
        before: this.#before(users),
      }),
      askedAtMs,
      answeredAtMs: performance.now(),
      durationMs,
      httpStatus: verdict.httpStatus,
      errorType: isDone ? undefined : (fault ?? String(verdict.errorCode || verdict.httpStatus)),
    };
    return this.#tracer.follow(answered, (traceparent) => {
      if (traceparent !== undefined) for (const userId of users) this.#lastCalls.set(userId, traceparent);
      return follow(traceparent);
    });
  }

  /** The calls that were made for these users before, each once: in this run, or in the record's last one. */
  #before(users: readonly string[]): Set<string> {
    const { attempts } = this.#record;
    const calls = users.map(
      (userId) => this.#lastCalls.get(userId) ?? attemptsOf(attempts, userId).at(-1)?.traceparent,
    );
    return new Set(calls.filter((traceparent) => traceparent !== undefined));
  }
}
