import type { Logger } from '../logging/log.ts';

/** Why a request, or a user of one, was refused. */
export type RefusalKind =
  | 'unauthorized'
  | 'not-found'
  | 'malformed'
  | 'too-large'
  | 'too-many-users'
  | 'unsupported-media-type'
  | 'invalid-users'
  | 'busy'
  | 'internal';

/** One line for each kind of refusal in this time. */
const REPEAT_AFTER_MS = 60_000;
/** Users count as accepted again after this time without trouble. */
const CALM_MS = 5_000;

/**
 * One line for each change, and at most one a minute for each kind of refusal, so that clients cannot fill
 * the disk.
 */
export interface IntakeLog {
  /**
   * `reason` when users could not be accepted, null when they could. A change is logged; the return to null
   * only after CALM_MS without trouble.
   */
  available(reason: string | null): void;
  /** `from`: the address of the client. */
  refused(kind: RefusalKind, status: number, from: string): void;
  /** Logs a bug with its stack. */
  broke(error: Error): void;
  /** Logs why tokens cannot be read, or (null) that they can again. */
  tokens(problem: string | null): void;
}

export function createIntakeLog(log: Logger, nowMs: () => number = () => performance.now()): IntakeLog {
  const lines = new Map<RefusalKind, { atMs: number; unsaid: number }>();
  let unavailable: string | null = null;
  let troubledAtMs = Number.NEGATIVE_INFINITY;
  return {
    available(reason) {
      if (reason !== null) troubledAtMs = nowMs();
      if ((reason === null) === (unavailable === null)) return;
      // When Redis is nearly full, one user is accepted and the next is not. That is one trouble, not many.
      if (reason === null && nowMs() - troubledAtMs < CALM_MS) return;
      unavailable = reason;
      if (reason === null) log.info('HTTP intake accepts users again');
      else log.error({ reason }, 'HTTP intake answers 503: users cannot be accepted');
    },
    refused(kind, status, from) {
      const last = lines.get(kind) ?? { atMs: Number.NEGATIVE_INFINITY, unsaid: 0 };
      lines.set(kind, last);
      if (nowMs() - last.atMs < REPEAT_AFTER_MS) {
        last.unsaid++;
        return;
      }
      const { unsaid } = last;
      lines.set(kind, { atMs: nowMs(), unsaid: 0 });
      log.warn(
        { kind, status, from, ...(unsaid > 0 && { unsaid }) },
        `HTTP intake refused: ${SENTENCES[kind]}`,
      );
    },
    broke(error) {
      log.error(
        { reason: error.message, stack: error.stack },
        'HTTP intake answered 500: a bug, please report it',
      );
    },
    tokens(problem) {
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
