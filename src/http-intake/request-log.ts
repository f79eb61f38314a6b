import type { Logger } from '../logging/log.ts';

/** Why a request, or a user of one, was refused; few enough to be labels. */
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

/** Refusals of one kind share a line for so long. */
const REPEAT_AFTER_MS = 60_000;
/** After a trouble users count as accepted again when this time brought none. */
const CALM_MS = 5_000;

/** One line a change, and at most one a minute for each kind of refusal: whoever knocks cannot fill the disk. */
export interface IntakeLog {
  /** `reason` when users could not be accepted, null when they could; said on change, the latter after some calm. */
  available(reason: string | null): void;
  /** `from` is the address that asked. */
  refused(kind: RefusalKind, status: number, from: string): void;
  /** A fault of ours, with its place in the code. */
  broke(error: Error): void;
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
      // At the brink of a full Redis one user is taken and the next is not: that is one trouble, not many.
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
          'tokens of the HTTP intake cannot be read: those read last count for a minute more, then nobody is let in',
        );
      }
    },
  };
}

const SENTENCES: Readonly<Record<RefusalKind, string>> = {
  unauthorized: 'no token, or none that counts',
  'not-found': 'a path that is not there',
  malformed: 'a body that cannot be read',
  'too-large': 'a body that is too large',
  'too-many-users': 'too many users in a body',
  'unsupported-media-type': 'a body that is neither JSON nor NDJSON',
  'invalid-users': 'users that do not hold up; the answer says why',
  busy: 'more at once than is taken',
  internal: 'a fault of ours',
};
