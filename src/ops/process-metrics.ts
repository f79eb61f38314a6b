import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Swept } from '../calls/sweep.ts';
import type { DeliveryReport } from '../delivery/delivery-report.ts';
import { eventIdMs } from '../event/event-id.ts';
import type { Answer, FaultName } from '../im/answers.ts';
import type { CommandName } from '../im/commands.ts';
import type { Verdict } from '../im/verdicts.ts';
import { errorLabel } from './error-label.ts';

/** What this process counts of its own work, and Node's own metrics. Names are a contract. */
export interface ProcessMetrics {
  readonly registry: Registry;
  /** Feeds them. */
  readonly report: DeliveryReport;
  /** A call that carries no user's event: the probe of a hold. */
  probed(command: CommandName, verdict: Verdict, answer: Answer, durationMs: number): void;
  /** What a sweep found. */
  swept(swept: Swept): void;
  /** A run of a call broke off by an error: a bug, or Redis. The call is kept. */
  runFailed(command: CommandName): void;
  /** Whether Redis answered the scrape at hand. */
  redisReachable(reachable: boolean): void;
}

/** From a lone event on an idle system to one that waited a day for the API. */
const LATENCY_BUCKETS_S = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400];
/** The service gives up after 3 s, a call after IMSYNC_CALL_TIMEOUT_MS. */
const DURATION_BUCKETS_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 8, 15];
const USERS_BUCKETS = [1, 2, 5, 10, 20, 40, 60, 80, 90, 99, 100];

/** The loop's lag is looked at so often. Every 10 ms, as is usual, was most of what an idle worker cost (0092). */
const LAG_EVERY_MS = 20;

export function createProcessMetrics(version: string, commands: readonly CommandName[]): ProcessMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_EVERY_MS });
  const events = new Counter({
    name: 'imsync_events_total',
    help: 'Events that ended in this process, by how they ended.',
    labelNames: ['outcome'],
    registers,
  });
  const calls = new Counter({
    name: 'imsync_api_calls_total',
    help: 'Calls of the API, by what came back: a listed code, other, http-…, or the name of a network fault.',
    labelNames: ['command', 'error_code'],
    registers,
  });
  const durations = new Histogram({
    name: 'imsync_api_call_duration_seconds',
    help: 'From sending a call to the end of its answer, or to giving up on it.',
    labelNames: ['command'],
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  const users = new Histogram({
    name: 'imsync_call_users',
    help: 'Users in a call that was sent.',
    labelNames: ['command'],
    buckets: USERS_BUCKETS,
    registers,
  });
  const latency = new Histogram({
    name: 'imsync_event_latency_seconds',
    help: 'From the acceptance of an event to its import or dead letter, on the clock of Redis.',
    buckets: LATENCY_BUCKETS_S,
    registers,
  });
  const givenUp = new Counter({
    name: 'imsync_slots_given_up_total',
    help: 'Slots that this process missed and did not use late.',
    registers,
  });
  const throttles = new Counter({
    name: 'imsync_throttles_total',
    help: 'Answers that said "too often".',
    labelNames: ['command'],
    registers,
  });
  const resolved = new Counter({
    name: 'imsync_dead_letters_resolved_total',
    help: 'Dead letters that a newer import of their user made up for.',
    registers,
  });
  const runsFailed = new Counter({
    name: 'imsync_call_runs_failed_total',
    help: 'Runs of calls that an error broke off; the calls are kept and run again.',
    labelNames: ['command'],
    registers,
  });
  const putBack = new Counter({
    name: 'imsync_calls_put_back_total',
    help: 'Open calls that no job would have run, put back by the sweep of this process.',
    registers,
  });
  const unaccounted = new Gauge({
    name: 'imsync_unaccounted_events',
    help: 'Events that the books count in calls and no open call holds. Anything but 0 is a bug.',
    registers,
  });
  const reachable = new Gauge({
    name: 'imsync_redis_reachable',
    help: '1 when Redis answered this scrape; the fleet-wide metrics are missing otherwise.',
    registers,
  });
  new Gauge({
    name: 'imsync_build_info',
    help: 'Always 1; the labels say what runs.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.versions.node }, 1);

  // Series exist from the start, so that a rate sees the first event too.
  for (const outcome of ['imported', 'superseded', 'dead-lettered']) events.inc({ outcome }, 0);
  for (const command of commands) {
    durations.zero({ command });
    users.zero({ command });
    throttles.inc({ command }, 0);
    runsFailed.inc({ command }, 0);
    calls.inc({ command, error_code: '0' }, 0);
  }

  /** False for a call that was never sent. */
  const counted = (
    command: CommandName,
    verdict: Verdict,
    fault: FaultName | undefined,
    durationMs: number,
  ): boolean => {
    calls.inc({ command, error_code: errorLabel(command, verdict, fault) });
    // A fault whose outcome is known never left this process.
    if (fault !== undefined && verdict.outcomeKnown) return false;
    durations.observe({ command }, durationMs / 1000);
    return true;
  };

  const report: DeliveryReport = {
    called({ command, verdict, fault, users: inCall, durationMs }) {
      if (counted(command, verdict, fault, durationMs)) users.observe({ command }, inCall.length);
    },
    gaveUp() {
      givenUp.inc();
    },
    settled(_callId, { imported, superseded, dead }, settled) {
      if (settled.kind === 'lost') return;
      events.inc({ outcome: 'imported' }, imported.length);
      events.inc({ outcome: 'superseded' }, superseded);
      events.inc({ outcome: 'dead-lettered' }, dead.length);
      resolved.inc(settled.resolved);
      for (const { eventId } of [...imported, ...dead]) {
        latency.observe(Math.max(0, settled.nowMs - eventIdMs(eventId)) / 1000);
      }
    },
    throttled(command) {
      throttles.inc({ command });
    },
    foreign() {},
  };
  const probed: ProcessMetrics['probed'] = (command, verdict, answer, durationMs) => {
    counted(command, verdict, answer.kind === 'fault' ? answer.fault : undefined, durationMs);
  };
  return {
    registry,
    report,
    probed,
    swept: (found) => {
      putBack.inc(found.putBack);
      unaccounted.set(found.unaccounted);
    },
    runFailed: (command) => runsFailed.inc({ command }),
    redisReachable: (yes) => reachable.set(yes ? 1 : 0),
  };
}
