import type { Verdict } from '../../im/verdicts.ts';
import type { CallRecord } from '../../ledger/record.ts';
import { type Decision, type DecisionPolicy, nothing } from './decision.ts';
import {
  type ApiRequest,
  bodyOf,
  type Commands,
  everybodyIn,
  FOLLOW_UP,
  type PendingUser,
  requestsOf,
} from './pending-user.ts';

/**
 * The calls of a run: its first ones, and those that tell users apart who failed together. Pure. No user is
 * taken for the cause without an answer to a call of their own.
 */

/** Parts of a call that failed, all called at once. Three rounds find any number of users among a hundred. */
const PARTS = 5;

/**
 * The calls that a run of a record begins with. If no call has passed since the record failed, one user goes
 * ahead: then a fault of everybody costs one user's call. Each run begins with another user, since the first
 * may be the cause. `passedAtMs`: see claimRecord.
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
    const { users } = request;
    const [user, ...others] = users;
    if (others.length > 0) {
      const next = { ...request, users: rotated(users, tries % users.length) };
      return othersPass ? next : canaryOf(next, commands);
    }
    const own = attempts.findLast(({ userId }) => userId === undefined || userId === user?.userId);
    return { ...request, failedAtMs: own?.at ?? 0 };
  });
}

/**
 * The parts of a call that failed because of somebody in it. Parts that pass are done; the others are split
 * again, down to calls of one user. One user of 100 takes 14 calls at most (5 of 20, 5 of 4, 4 of 1), k users
 * at most 14 k. `failures`, `failedAtMs`: see ApiRequest.
 */
export function partsOf(
  request: ApiRequest,
  commands: Commands,
  failures: number,
  failedAtMs: number,
): ApiRequest[] {
  const size = Math.ceil(request.users.length / PARTS);
  return slices(request.users, size).map((users) => ({
    ...FOLLOW_UP,
    command: users.length === 1 ? commands.single : request.command,
    users,
    failures,
    failedAtMs,
  }));
}

/** Notes in the parts of a call which call it was: if all of them pass, its size was the fault, or chance. */
export function asPartsOf(
  request: ApiRequest,
  parts: readonly ApiRequest[],
  commands: Commands,
  wasTooLarge: boolean,
): ApiRequest[] {
  const whole = { bytes: bytesOf(request, commands), wasTooLarge, partsLeft: parts.length };
  return parts.map((part) => ({ ...part, whole }));
}

/**
 * One user goes ahead, and the others wait for the answer: so one call tells whether everybody's calls fail.
 * Each time it is another user, since the first may be the cause.
 */
export function canaryOf(request: ApiRequest, commands: Commands): ApiRequest {
  const [canary, ...rest] = request.behind === undefined ? request.users : rotated(everybodyIn(request), 1);
  if (canary === undefined || rest.length === 0 || request.command === 'account_check') return request;
  const behind = { command: request.behind?.command ?? request.command, users: rest };
  return { ...request, command: commands.single, users: [canary], behind };
}

/** The users who waited for a canary go now. */
export function released(request: ApiRequest, commands: Commands): ApiRequest[] {
  const { behind } = request;
  if (behind === undefined || behind.users.length === 0) return [];
  const command = behind.users.length === 1 ? commands.single : behind.command;
  const { first, failures, unluckyFailures, failedAtMs } = request;
  return [{ command, users: behind.users, first, failures, unluckyFailures, failedAtMs }];
}

/** Bytes of the body that a request is sent as. */
export function bytesOf(request: ApiRequest, { form }: Commands): number {
  return Buffer.byteLength(bodyOf(request, form));
}

function rotated<T>(list: readonly T[], by: number): T[] {
  return [...list.slice(by), ...list.slice(0, by)];
}

function slices<T>(list: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let from = 0; from < list.length; from += size) parts.push(list.slice(from, from + size));
  return parts;
}

/** The same users together: after a while, or at once where only the fleet was the reason to wait. */
export function onceMore(
  request: ApiRequest,
  verdict: Verdict,
  { whose, startedAtMs }: DecisionPolicy,
): Decision {
  const spendsAnAttempt = verdict.class === 'retry' || verdict.class === 'unknown';
  if (whose !== 'theirs' || (spendsAnAttempt && request.first))
    return { ...nothing, later: everybodyIn(request) };
  const next = {
    ...request,
    failures: request.failures + 1,
    unluckyFailures: request.unluckyFailures + 1,
    failedAtMs: request.failedAtMs || startedAtMs,
  };
  return { ...nothing, again: [next] };
}
