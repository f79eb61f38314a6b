import { Registry } from 'prom-client';
import { deadReasons } from '../ledger/letters/dead-letters.ts';
import { HOLD_ADVICE } from '../logging/hold-log.ts';
import { metricsOf } from './metrics.ts';
import type { Status } from './status.ts';

/** Metrics of the whole fleet. Every process shows the same: aggregate with `max`. Names are a contract. */
export function createFleetMetrics() {
  const registry = new Registry();
  const gauge = <T extends string>(name: string, help: string, labelNames: readonly T[] = []) =>
    metricsOf(registry).gauge(name, `${help} Fleet-wide: aggregate with max.`, labelNames);
  const waiting = gauge('imsync_waiting_events', 'Events that wait in the intake.');
  const oldest = gauge('imsync_oldest_waiting_seconds', 'Age of the oldest waiting event; 0 if none waits.');
  const unfinished = gauge(
    'imsync_oldest_unfinished_seconds',
    'Age of the oldest event that has not ended, wherever it is; 0 if all have.',
  );
  const suspected = gauge(
    'imsync_suspected_calls',
    'Calls of users who fail while others pass; each is retried alone.',
  );
  const oldestLetter = gauge(
    'imsync_oldest_dead_letter_seconds',
    'Age of the oldest unresolved dead letter; 0 if there is none.',
  );
  const parked = gauge('imsync_parked_events', 'Events that wait for a call of their user to end.');
  const calls = gauge('imsync_calls', 'Calls by the state of their jobs.', ['command', 'state']);
  const users = gauge('imsync_users_in_calls', 'Users in open calls.', ['command']);
  const started = gauge('imsync_calls_started_last_second', 'Calls started in the last second.', ['command']);
  const quota = gauge('imsync_quota_per_second', 'Calls a second that the API allows.', ['command']);
  const rate = gauge('imsync_rate_per_second', 'Calls a second that are started at most.', ['command']);
  const letters = gauge('imsync_dead_letters', 'Unresolved dead letters.', ['reason']);
  const held = gauge('imsync_held', '1 while all calls are held for this kind of reason.', ['kind']);
  const paused = gauge('imsync_paused', '1 while an operator has paused the fleet.');
  const memory = gauge('imsync_redis_memory_used_ratio', "Used part of Redis's maxmemory; 0 without one.");
  const missing = gauge(
    'imsync_reconcile_missing_users',
    'Users without an account that the last run of imsync reconcile found and did not add.',
  );
  const reconciled = gauge(
    'imsync_reconcile_ended_timestamp_seconds',
    'When the last run of imsync reconcile ended, since 1970; 0 if none has.',
  );
  const reconcileDue = gauge(
    'imsync_reconcile_due_timestamp_seconds',
    'When a run of imsync reconcile --every is or was due, since 1970; 0 where none is repeated.',
  );
  const workers = gauge('imsync_workers', 'Worker processes that gave a sign of life lately.');

  return {
    registry,
    show(status: Status): void {
      // A series that is gone, such as a command of another API form, must not keep its last value.
      registry.resetMetrics();
      waiting.set(status.intake.waiting);
      oldest.set((status.intake.oldestAgeMs ?? 0) / 1000);
      parked.set(status.intake.parked);
      unfinished.set((status.oldestUnfinishedAgeMs ?? 0) / 1000);
      suspected.set(status.suspects.calls);
      oldestLetter.set((status.deadLetters.oldestAgeMs ?? 0) / 1000);
      for (const [command, its] of Object.entries(status.calls)) {
        for (const state of ['waiting', 'active', 'delayed'] as const)
          calls.set({ command, state }, its[state]);
        users.set({ command }, its.users);
        started.set({ command }, its.startedLastSecond);
        quota.set({ command }, its.quota);
        rate.set({ command }, its.rate);
      }
      for (const reason of deadReasons) letters.set({ reason }, status.deadLetters.byReason[reason] ?? 0);
      for (const kind of Object.keys(HOLD_ADVICE)) held.set({ kind }, 0);
      // A worker of another version may have a kind of hold that this version does not know.
      if (status.hold !== null)
        held.set({ kind: Object.hasOwn(HOLD_ADVICE, status.hold.kind) ? status.hold.kind : 'other' }, 1);
      paused.set(status.paused ? 1 : 0);
      memory.set(status.redis.memoryUsedRatio ?? 0);
      workers.set(status.workers.length);
      const { counts, endedAt } = status.reconcile ?? { counts: undefined, endedAt: 0 };
      missing.set(counts === undefined ? 0 : Math.max(0, counts.missing - counts.enqueued));
      reconciled.set(endedAt / 1_000);
      reconcileDue.set((status.reconcileDueAt ?? 0) / 1_000);
    },
  };
}
