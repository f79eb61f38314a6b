import { Counter, collectDefaultMetrics, Registry } from 'prom-client';
import type { Swept } from '../calls/sweep.ts';
import type { DeliveryReport } from '../delivery/delivery-options.ts';
import { eventIdMs, ODD_EVENTS, type OddEvent } from '../event/event.ts';
import type { Answer } from '../im/answers.ts';
import type { CommandName } from '../im/commands.ts';
import { isListedCode, type Verdict } from '../im/verdicts.ts';
import { metricsOf } from './metrics.ts';

/** From a lone event on an idle system to one that waited a day for the API. */
const LATENCY_BUCKETS_S = [
  0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400,
];
/** The service gives up after 3 s, a call after IMSYNC_CALL_TIMEOUT_MS. */
const DURATION_BUCKETS_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 8, 15];
const USERS_BUCKETS = [1, 2, 5, 10, 20, 40, 60, 80, 90, 99, 100];

/** How often the event loop's lag is measured. The usual 10 ms was most of an idle worker's cost (0092). */
const LAG_EVERY_MS = 20;

/** The metrics of this process: its own work, and Node's. Names are a contract. */
export type ProcessMetrics = ReturnType<typeof createProcessMetrics>;

/** `droppedLines`: how many lines the log has lost since the start. */
export function createProcessMetrics(
  version: string,
  commands: readonly CommandName[],
  droppedLines: () => number,
) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_EVERY_MS });
  const { countCall, gaveUp, throttled } = createCallMetrics(registry, commands);
  const oddEvents = countOddEvents(registry);
  const report: DeliveryReport = {
    called: ({ request: { command, users }, verdict, answer, durationMs }) =>
      countCall(command, verdict, answer, durationMs, users.length),
    gaveUp,
    settled: createEventMetrics(registry),
    throttled,
    odd: (_callId, entries) => {
      for (const { odd } of entries) if (odd !== undefined) oddEvents[odd]++;
    },
  };
  return {
    registry,
    report,
    /** How many events of each kind looked odd and were imported. */
    oddEvents: oddEvents as Readonly<OddCounts>,
    /** Counts the probe of a hold: a call that carries no user's event. */
    probed: countCall,
    ...createHealthMetrics(registry, version, commands, droppedLines),
  };
}

function createCallMetrics(registry: Registry, commands: readonly CommandName[]) {
  const { counter, histogram } = metricsOf(registry);
  const calls = counter(
    'imsync_api_calls_total',
    'Calls of the API, by what came back: a listed code, other, http-…, or the name of a network fault.',
    ['command', 'error_code'],
  );
  const durations = histogram(
    'imsync_api_call_duration_seconds',
    'From sending a call to the end of its answer, or to giving up on it.',
    DURATION_BUCKETS_S,
    ['command'],
  );
  const users = histogram('imsync_call_users', 'Users in a call that was sent.', USERS_BUCKETS, ['command']);
  const givenUp = counter(
    'imsync_slots_given_up_total',
    'Slots that this process missed and did not use late.',
  );
  const throttles = counter('imsync_throttles_total', 'Answers that said "too often".', ['command']);
  // A series that exists from the start lets a rate see the first event too.
  for (const command of commands) {
    durations.zero({ command });
    users.zero({ command });
    throttles.inc({ command }, 0);
    calls.inc({ command, error_code: '0' }, 0);
  }
  return {
    /** `usersInCall` is left out for a probe, which carries no user's event. */
    countCall(
      command: CommandName,
      verdict: Verdict,
      answer: Answer,
      durationMs: number,
      usersInCall?: number,
    ): void {
      calls.inc({ command, error_code: errorLabel(command, verdict, answer) });
      // A call whose fault leaves no doubt about the outcome was never sent.
      if (answer.kind === 'fault' && verdict.outcomeKnown) return;
      durations.observe({ command }, durationMs / 1000);
      if (usersInCall !== undefined) users.observe({ command }, usersInCall);
    },
    gaveUp: () => givenUp.inc(),
    throttled: (command: CommandName) => throttles.inc({ command }),
  };
}

/**
 * The label `error_code` of a call. There is a bounded number of them, whatever comes back: a code that the
 * command's table lists; `other` for any other code; `http-429`, `http-4xx`, `http-5xx` or `http-other` when
 * something answered in the API's place; the fault's name (`timeout`, `reset`, `connect`, `dns`, `tls`,
 * `garbage`, `aborted`) when no usable answer came.
 */
export function errorLabel(command: CommandName, verdict: Verdict, answer: Answer): string {
  if (answer.kind === 'fault') return answer.fault;
  const { httpStatus: status, errorCode } = verdict;
  if (status === 200) return isListedCode(command, errorCode) ? String(errorCode) : 'other';
  if (status === 429) return 'http-429';
  if (status >= 400 && status < 500) return 'http-4xx';
  return status >= 500 && status < 600 ? 'http-5xx' : 'http-other';
}

/** Events and dead letters, as calls settle them. */
function createEventMetrics(registry: Registry): DeliveryReport['settled'] {
  const { counter, histogram } = metricsOf(registry);
  const events = counter('imsync_events_total', 'Events that ended in this process, by how they ended.', [
    'outcome',
  ]);
  const latency = histogram(
    'imsync_event_latency_seconds',
    'From the acceptance of an event to its import or dead letter, on the clock of Redis.',
    LATENCY_BUCKETS_S,
  );
  const resolved = counter(
    'imsync_dead_letters_resolved_total',
    'Dead letters that a newer import of their user made up for.',
  );
  for (const outcome of ['imported', 'superseded', 'dead-lettered']) events.inc({ outcome }, 0);
  return (_callId, { imported, superseded, dead }, settled) => {
    if (settled.kind === 'lost') return;
    events.inc({ outcome: 'imported' }, imported.length);
    events.inc({ outcome: 'superseded' }, superseded);
    events.inc({ outcome: 'dead-lettered' }, dead.length);
    resolved.inc(settled.resolved);
    for (const { eventId } of [...imported, ...dead])
      latency.observe(Math.max(0, settled.nowMs - eventIdMs(eventId)) / 1000);
  };
}

type OddCounts = Record<OddEvent, number>;

/** The counts are plain numbers, since the worker's sign of life carries them, too. */
function countOddEvents(registry: Registry): OddCounts {
  const counts = Object.fromEntries(ODD_EVENTS.map((kind) => [kind, 0])) as OddCounts;
  new Counter({
    name: 'imsync_odd_events_total',
    help: 'Events whose user ID or nick looks as if a program had left it behind; imported all the same.',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [kind, count] of Object.entries(counts)) this.inc({ kind }, count);
    },
  });
  return counts;
}

/** What went wrong inside, whether Redis answers, and which build runs. */
function createHealthMetrics(
  registry: Registry,
  version: string,
  commands: readonly CommandName[],
  droppedLines: () => number,
) {
  const { counter, gauge } = metricsOf(registry);
  const registers = [registry];
  const runsFailed = counter(
    'imsync_call_runs_failed_total',
    'Runs of calls that an error broke off; the calls are kept and run again.',
    ['command'],
  );
  const putBack = counter(
    'imsync_calls_put_back_total',
    'Open calls that no job would have run, put back by the sweep of this process.',
  );
  const unaccounted = gauge(
    'imsync_unaccounted_events',
    'Events that the books count in calls and no open call holds, as this process found them; below 0 the other way round. Take max(abs()), no sum. Anything but 0 is a bug.',
  );
  const reachable = gauge(
    'imsync_redis_reachable',
    '1 when Redis answered this scrape; the fleet-wide metrics are missing otherwise.',
  );
  new Counter({
    name: 'imsync_log_lines_dropped_total',
    help: 'Log lines that were dropped because standard output could not be written.',
    registers,
    collect() {
      this.reset();
      this.inc(droppedLines());
    },
  });
  gauge('imsync_build_info', 'Always 1; the labels say what runs.', ['version', 'node']).set(
    { version, node: process.versions.node },
    1,
  );
  for (const command of commands) runsFailed.inc({ command }, 0);
  return {
    swept(found: Swept): void {
      putBack.inc(found.putBack);
      unaccounted.set(found.unaccounted);
    },
    /** Counts a run of a call that an error broke off: a bug, or Redis. The call is kept. */
    runFailed: (command: CommandName) => runsFailed.inc({ command }),
    redisReachable: (yes: boolean) => reachable.set(yes ? 1 : 0),
  };
}
