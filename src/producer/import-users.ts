import { isAbsent } from '../event/event.ts';
import type { UserInput } from '../event/fields.ts';
import { type Accepted, InvalidUserError, NotAcceptedError } from './accepted.ts';
import type { ImportOutcome, OutcomeInbox } from './outcome-inbox.ts';

/** What became of one user of a list, with its outcome to come; `outcome` never rejects. */
export type Importing =
  | { readonly ok: true; readonly eventId: string; readonly outcome: Promise<ImportOutcome> }
  | { readonly ok: false; readonly error: InvalidUserError | NotAcceptedError };

/** The longest that a timer of Node takes. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Adds users and answers each one's outcome as it comes. Listens before it adds, so that no outcome is too early.
 * Rejects only for a `timeoutMs` that is none.
 */
export async function importUsers(
  users: readonly UserInput[],
  timeoutMs: number,
  means: {
    readonly inbox: OutcomeInbox;
    /** Rejects while Redis is away. */
    readonly reachable: () => Promise<void>;
    /** [] for a user that holds up. */
    readonly problemsOf: (user: UserInput) => string[];
    readonly add: (users: readonly UserInput[]) => Promise<Accepted[]>;
  },
): Promise<Importing[]> {
  if (!(timeoutMs >= 0 && timeoutMs <= MAX_TIMEOUT_MS))
    throw new RangeError(`timeoutMs must be 0 to ${MAX_TIMEOUT_MS} milliseconds, not ${String(timeoutMs)}`);
  const { inbox, reachable, problemsOf, add } = means;
  const untilMs = performance.now() + timeoutMs;
  const problems = users.map((user) => [...problemsOf(user), ...replyToProblems(user)]);
  const valid = users.filter((_, i) => problems[i]?.length === 0);
  const importing = await importValid();
  let next = 0;
  return problems.map((found): Importing => {
    if (found.length > 0) return { ok: false, error: new InvalidUserError(found) };
    return importing[next++] ?? { ok: false, error: new NotAcceptedError('Redis gave no answer') };
  });

  async function importValid(): Promise<Importing[]> {
    if (valid.length === 0) return [];
    let expectation: Awaited<ReturnType<OutcomeInbox['expect']>>;
    try {
      await reachable();
      expectation = await inbox.expect();
    } catch (error) {
      const why = `Redis did not take the event: its outcome cannot be listened for: ${(error as Error).message}.`;
      return valid.map(() => ({
        ok: false,
        error: new NotAcceptedError(`${why} Try again; a repeat does no harm.`),
      }));
    }
    try {
      const accepted = await add(valid.map((user) => ({ ...user, replyTo: inbox.channel })));
      return accepted.map((one, i): Importing => {
        if (!one.ok) return one;
        const leftMs = untilMs - performance.now();
        const userId = valid[i]?.userId ?? '';
        return { ...one, outcome: expectation.outcomeOf(one.eventId, userId, leftMs) };
      });
    } finally {
      expectation.end();
    }
  }
}

function replyToProblems(user: UserInput | null): string[] {
  if (typeof user !== 'object' || isAbsent(user?.replyTo)) return [];
  return ['replyTo is set by importUser itself: leave it out, or use add and listen yourself'];
}
