import { Counter, Histogram, type Registry } from 'prom-client';

/** The metrics of the HTTP intake. Names and labels are a contract. */
export interface IntakeMetrics {
  /** Counts an answer. A status outside STATUSES counts as `other`. */
  answered(status: number): void;
  users(result: UserLabel, count: number): void;
  /** Time from the end of a body to Redis's last acknowledgement, without waiting for outcomes. */
  accepted(durationMs: number): void;
}

const USER_LABELS = ['accepted', 'invalid', 'not-accepted'] as const;
export type UserLabel = (typeof USER_LABELS)[number];
const STATUSES = [200, 202, 207, 400, 401, 404, 408, 413, 415, 431, 500, 503];

export function createIntakeMetrics(registry: Registry): IntakeMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'imsync_intake_requests_total',
    help: 'Requests to the HTTP intake of this process, by the status of the answer.',
    labelNames: ['status'],
    registers,
  });
  const users = new Counter({
    name: 'imsync_intake_users_total',
    help: 'Users posted to the HTTP intake of this process: accepted, invalid, or not-accepted by Redis.',
    labelNames: ['result'],
    registers,
  });
  const durations = new Histogram({
    name: 'imsync_intake_accept_seconds',
    help: 'Time from the end of a body to its acknowledgement by Redis, without waiting for outcomes.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers,
  });
  for (const status of [202, 400, 401, 503]) requests.inc({ status }, 0);
  for (const result of USER_LABELS) users.inc({ result }, 0);
  return {
    answered: (status) => requests.inc({ status: STATUSES.includes(status) ? status : 'other' }),
    users: (result, count) => users.inc({ result }, count),
    accepted: (durationMs) => durations.observe(durationMs / 1000),
  };
}
