import type { StoredLetter } from '../../ledger/letters/dead-letters.ts';
import type { Suspicion } from '../../ledger/record.ts';
import type { UserCall, UserReport } from '../../tasks/find-user.ts';
import { counted, isoTime, type NamedValue, namedLines } from '../format.ts';

/** The report about one user as text for a person. Pure; times are ISO, UTC. */
export function userText(report: UserReport, nowMs: number): string {
  const { userId, call, parked, waiting, letters, unchecked } = report;
  const rows: NamedValue[] = [
    ['user', JSON.stringify(userId)],
    ['state', stateText(report)],
    ['account', accountText(report)],
    ...(call === null ? [] : callRows(call, report, nowMs)),
    [
      'parked',
      parked.count === 0 ? '' : `${counted(parked.count, 'event')}, to be sent when that call has ended`,
    ],
    ...waiting.map(
      ({ eventId, place }): NamedValue => [
        'waiting',
        `event ${eventId} ${place === 'stream' ? 'in the stream' : 'at the front of the intake'}`,
      ],
    ),
    ...letters.slice(0, MAX_LETTERS).map((letter): NamedValue => ['dead letter', letterText(letter)]),
    ['', letters.length > MAX_LETTERS ? `and ${letters.length - MAX_LETTERS} more (--json shows them)` : ''],
    ...unchecked.map((sentence): NamedValue => ['not checked', sentence]),
    ['next', nextText(report)],
  ];
  return namedLines(rows);
}

const MAX_LETTERS = 5;

function stateText({ state, stopped, call, waiting, api }: UserReport): string {
  const halt = stopped === null ? '' : `; all calls are ${stopped}`;
  switch (state) {
    case 'in-call':
      return `in a call${call?.redrive === true ? ', redriven from the dead letters' : ''}${halt}`;
    case 'waiting':
      return `${counted(waiting.length, 'event')} waiting for a call${halt}`;
    case 'dead-lettered':
      return 'dead-lettered: the last event ended without an import, or without its profile';
    case 'imported':
      return 'imported; no event is on its way';
    case 'missing':
      return 'no account, and no event on its way';
    case 'unknown':
      return api === null
        ? 'nothing is known of this user'
        : 'no account; an event may be waiting in a part of the stream that was not searched';
  }
}

function accountText({ hasAccount, api, call }: UserReport): string {
  if (api?.kind === 'refused') return `not known: the API refuses to say (${api.errorCode} ${api.errorInfo})`;
  if (api !== null) return `${api.kind === 'imported' ? 'exists' : 'does not exist'}, according to the API`;
  if (hasAccount === null) return 'not known';
  if (call?.suspicion?.hasAccount === true) return 'exists: it was imported without its profile';
  return hasAccount ? 'exists: an event of this user was imported' : 'does not exist';
}

function callRows(call: UserCall, { stopped }: UserReport, nowMs: number): NamedValue[] {
  const last = call.attempts.at(-1);
  const others = call.users > 1 ? `, with ${call.users - 1} other users` : '';
  return [
    ['call', `${call.callId}, ${call.command || 'written by another version'}${others}`],
    ...call.eventIds.map((eventId): NamedValue => ['event', eventId]),
    ['attempt', attemptText(call, stopped, nowMs)],
    ['suspected', call.suspicion === null ? '' : suspicionText(call.suspicion)],
    ['last answer', last === undefined ? '' : lastAnswerText(last)],
  ];
}

function lastAnswerText({ at, command, errorCode, httpStatus }: UserCall['attempts'][number]): string {
  return `${isoTime(at)}  ${command}  ${errorCode || `HTTP ${httpStatus || 'none'}`}`;
}

function suspicionText({ since, failures, errorCode, httpStatus, errorInfo, hasAccount }: Suspicion): string {
  const answer = errorCode === 0 ? `HTTP ${httpStatus || 'none'}` : String(errorCode);
  const account = hasAccount ? '; the account was imported without its profile' : '';
  return `sent alone since ${isoTime(since)}; it failed ${failures} times while others succeeded (${answer} ${errorInfo})${account}`;
}

function attemptText(call: UserCall, stopped: UserReport['stopped'], nowMs: number): string {
  const number = `number ${call.tries + 1}`;
  if (call.sentAt !== null) return `${number}, sent ${isoTime(call.sentAt)}; waiting for the answer`;
  if (call.nextAt !== null)
    return `${number}, at ${isoTime(call.nextAt)} (in ${Math.max(0, Math.round((call.nextAt - nowMs) / 1_000))} s)`;
  return stopped === null ? `${number}, at the next free slot` : `${number}, when calls are made again`;
}

function letterText({ eventId, state, reason, errorCode, errorInfo, deadSince }: StoredLetter): string {
  const code = errorCode === 0 ? '' : ` ${errorCode}`;
  const mark = state === 'dead' ? '' : ` [${state}]`;
  return `${eventId}  ${reason}${code}${mark} since ${isoTime(deadSince)}  ${errorInfo}`;
}

function nextText({ state, stopped, letters, hasAccount, unchecked }: UserReport): string {
  if (stopped !== null && (state === 'in-call' || state === 'waiting'))
    return `imsync status says why calls are ${stopped}; the events are kept`;
  switch (state) {
    case 'in-call':
    case 'waiting':
      return 'nothing: it continues by itself';
    case 'dead-lettered':
      return `imsync dlq show ${letters.find((letter) => letter.state === 'dead')?.eventId}`;
    case 'imported':
      return 'nothing';
    case 'missing':
      return 'push the user: imsync push --user-id ID';
    case 'unknown':
      return hasAccount === true || unchecked.length === 0
        ? 'nothing'
        : 'see what was not checked; if the user should have an account, push the user again (a repeat does no harm)';
  }
}
