import { encodeImport } from '../../im/bodies.ts';
import type { Verdict } from '../../im/verdicts.ts';
import { type Decision, type DecisionPolicy, nothing } from './decision.ts';
import {
  type ApiRequest,
  accountOf,
  type Commands,
  everybodyIn,
  FOLLOW_UP,
  historyOf,
  type PendingUser,
} from './pending-user.ts';

/**
 * The calls that follow for users who failed together, and how those users are told apart. Pure. Nobody is taken for the
 * cause without an answer to a call of their own.
 */

/** Parts of a call that failed. All are called at the same time: three rounds find any number of users among a hundred. */
const PARTS = 5;

/**
 * The parts of a call that failed because of somebody in it: those that pass are done, the others are split again, down to
 * calls of one user. One user of 100 takes 14 calls at most (5 of 20, 5 of 4, 4 of 1), k users at most 14 k. `failures`,
 * `failedAtMs`: see ApiRequest.
 */
export function partsOf(
  request: ApiRequest,
  commands: Commands,
  failures: number,
  failedAtMs: number,
): ApiRequest[] {
  const size = Math.ceil(request.users.length / PARTS);
  return slices(request.users, size).map((users) => ({
    ...partOf(request, users, commands),
    failures,
    failedAtMs,
  }));
}

/** A call that something refused for its size, as two of half its size each. */
export function halvesOf(request: ApiRequest, commands: Commands): ApiRequest[] {
  const bytes = request.users.map((user) => bytesOf(request, [user], commands));
  const half = bytes.reduce((sum, n) => sum + n, 0) / 2;
  let count = 0;
  for (let sum = 0; count < request.users.length - 1 && sum < half; count++) sum += bytes[count] ?? 0;
  const at = Math.max(1, count);
  const halves = [request.users.slice(0, at), request.users.slice(at)];
  return halves.map((users) => partOf(request, users, commands));
}

/** Parts that tell together what failed the call: if all of them pass, it was its size, or chance. */
export function watched(
  request: ApiRequest,
  parts: readonly ApiRequest[],
  commands: Commands,
  wasTooLarge: boolean,
): ApiRequest[] {
  const whole = { bytes: bytesOf(request, request.users, commands), wasTooLarge, partsLeft: parts.length };
  return parts.map((part) => ({ ...part, whole }));
}

/**
 * One user goes ahead, the others wait for the answer: whether everybody's calls fail is learned at the price of one
 * user. Another one each time, since the first may be the cause.
 */
export function canaryOf(request: ApiRequest, commands: Commands): ApiRequest {
  const [canary, ...rest] = request.behind === undefined ? request.users : rotated(everybodyIn(request));
  if (canary === undefined || rest.length === 0 || request.command === 'account_check') return request;
  const behind = { command: request.behind?.command ?? request.command, users: rest };
  return { ...request, command: commands.single, users: [canary], behind };
}

/** Who waited for a canary goes now. */
export function released(request: ApiRequest, commands: Commands): ApiRequest[] {
  const { behind } = request;
  if (behind === undefined || behind.users.length === 0) return [];
  const command = behind.users.length === 1 ? commands.single : behind.command;
  return [{ command, users: behind.users, ...historyOf(request) }];
}

/** Bytes of the body that a request is sent as. */
export function bytesOf(
  { command }: Pick<ApiRequest, 'command'>,
  users: readonly PendingUser[],
  { form }: Commands,
): number {
  if (command === 'account_check') throw new RangeError('account_check imports nobody: a bug');
  return Buffer.byteLength(encodeImport(command, form, users.map(accountOf)));
}

function partOf(request: ApiRequest, users: readonly PendingUser[], commands: Commands): ApiRequest {
  return { command: users.length === 1 ? commands.single : request.command, users, ...FOLLOW_UP };
}

function rotated<T>([first, ...rest]: readonly T[]): T[] {
  return first === undefined ? rest : [...rest, first];
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
