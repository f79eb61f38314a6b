import type { CallRecord } from '../../ledger/record.ts';
import { type ApiRequest, type Commands, type PendingUser, requestsOf } from './pending-user.ts';
import { canaryOf } from './split.ts';

/**
 * The calls that a run of a record begins with. Pure. Where nobody has passed since the record failed, one user goes ahead:
 * what everybody gets costs one user's call. Each run begins with another user, since the first may be the cause.
 * `passedAtMs`: see claimRecord.
 */
export function firstRequests(
  { attempts, tries }: Pick<CallRecord, 'attempts' | 'tries'>,
  remaining: readonly PendingUser[],
  passedAtMs: number,
  commands: Commands,
): ApiRequest[] {
  const failedAtMs = attempts.findLast(({ userId }) => userId === undefined)?.at ?? 0;
  const othersPass = passedAtMs >= failedAtMs;
  const unluckyFailures = othersPass ? tries : 0;
  const history = { first: true, failures: tries, unluckyFailures, failedAtMs };
  return requestsOf(remaining, commands, history).map((request) => {
    const [user, ...others] = request.users;
    if (others.length > 0) {
      const next = { ...request, users: turned(request.users, tries) };
      return othersPass ? next : canaryOf(next, commands);
    }
    const own = attempts.findLast(({ userId }) => userId === undefined || userId === user?.userId);
    return { ...request, failedAtMs: own?.at ?? 0 };
  });
}

/** The list as it begins with another one each time. */
function turned<T>(list: readonly T[], times: number): readonly T[] {
  const at = times % list.length;
  return at === 0 ? list : [...list.slice(at), ...list.slice(0, at)];
}
