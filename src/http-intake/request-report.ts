import type { Registry } from 'prom-client';
import { atMostEvery } from '../logging/line-limit.ts';
import type { Logger } from '../logging/log.ts';
import { metricsOf } from '../ops/metrics.ts';
import type { RefusalKind } from './refused-request.ts';

/** One line for each kind of refusal in this time. */
const REPEAT_AFTER_MS = 60_000;
/** Users count as accepted again after this time without trouble. */
const CALM_MS = 5_000;
const SENTENCES: Readonly<Record<RefusalKind, string>> = {
  unauthorized: 'no token, or not a valid one',
  'not-found': 'a path that does not exist',
  malformed: 'a body that cannot be read',
  'too-large': 'a body that is too large',
  'too-many-users': 'too many users in a body',
  'unsupported-media-type': 'a body that is neither JSON nor NDJSON',
  'invalid-users': 'users that are not valid; the answer says why',
  busy: 'more requests at once than this worker takes',
  internal: 'a bug of this worker',
};

/** One line a change, and at most one a minute for each kind of refusal: clients cannot fill the disk. */
export type IntakeLog = ReturnType<typeof createIntakeLog>;

export function createIntakeLog(log: Logger, nowMs: () => number = () => performance.now()) {
  const lines = new Map<RefusalKind, ReturnType<typeof atMostEvery>>();
  let unavailable = false;
  let troubledAtMs = Number.NEGATIVE_INFINITY;
  return {
    /**
     * `reason` when users could not be accepted, null when they could. A change is logged; the return to null
     * only after CALM_MS without trouble.
     */
    available(reason: string | null): void {
      if (reason !== null) troubledAtMs = nowMs();
      if (unavailable === (reason !== null)) return;
      // When Redis is nearly full, one user is accepted and the next is not. That is one trouble, not many.
      if (reason === null && nowMs() - troubledAtMs < CALM_MS) return;
      unavailable = reason !== null;
      if (reason === null) log.info('HTTP intake accepts users again');
      else log.error({ reason }, 'HTTP intake answers 503: users cannot be accepted');
    },
    /** `from`: the address of the client. */
    refused(kind: RefusalKind, status: number, from: string): void {
      const line = lines.get(kind) ?? atMostEvery(REPEAT_AFTER_MS, nowMs);
      lines.set(kind, line);
      line((unsaid) => {
        const fields = { kind, status, from, ...(unsaid > 0 && { unsaid }) };
        log.warn(fields, `HTTP intake refused: ${SENTENCES[kind]}`);
      });
    },
    broke({ message, stack }: Error): void {
      log.error({ reason: message, stack }, 'HTTP intake answered 500: a bug, please report it');
    },
    /** Logs why tokens cannot be read, or (null) that they can again. */
    tokens(problem: string | null): void {
      if (problem === null) log.info('tokens of the HTTP intake can be read again');
      else {
        log.error(
          { reason: problem },
          'tokens of the HTTP intake cannot be read: those read last stay valid for a minute, then every request is refused',
        );
      }
    },
  };
}

const USER_LABELS = ['accepted', 'invalid', 'not-accepted'] as const;
const STATUSES = [200, 202, 207, 400, 401, 404, 408, 413, 415, 431, 500, 503];

/** Names and labels are a contract. */
export type IntakeMetrics = ReturnType<typeof createIntakeMetrics>;

export function createIntakeMetrics(registry: Registry) {
  const { counter, histogram } = metricsOf(registry);
  const requests = counter(
    'imsync_intake_requests_total',
    'Requests to the HTTP intake of this process, by the status of the answer.',
    ['status'],
  );
  const users = counter(
    'imsync_intake_users_total',
    'Users posted to the HTTP intake of this process: accepted, invalid, or not-accepted by Redis.',
    ['result'],
  );
  const durations = histogram(
    'imsync_intake_accept_seconds',
    'Time from the end of a body to its acknowledgement by Redis, without waiting for outcomes.',
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  );
  for (const status of [202, 400, 401, 503]) requests.inc({ status }, 0);
  for (const result of USER_LABELS) users.inc({ result }, 0);
  return {
    /** Counts an answer. A status outside STATUSES counts as `other`. */
    answered: (status: number) => requests.inc({ status: STATUSES.includes(status) ? status : 'other' }),
    users(counts: Readonly<Record<(typeof USER_LABELS)[number], number>>): void {
      for (const result of USER_LABELS) users.inc({ result }, counts[result]);
    },
    /** Time from the end of a body to Redis's last acknowledgement, without waiting for outcomes. */
    accepted: (durationMs: number) => durations.observe(durationMs / 1000),
  };
}
