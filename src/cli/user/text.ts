import type { StoredLetter } from '../../ledger/letters/dead-letters.ts';
import type { Suspicion } from '../../ledger/record.ts';
import type { UserCall, UserReport } from '../../tasks/find-user.ts';

/** Where a user is, for a person. Pure; times are ISO, UTC. */
export function userText(report: UserReport, nowMs: number): string {
  const { userId, call, parked, waiting, letters, unchecked } = report;
  const rows: [string, string][] = [
    ['user', JSON.stringify(userId)],
    ['state', stateText(report)],
    ['account', accountText(report)],
    ...(call === null ? [] : callRows(call, report, nowMs)),
    ...(parked.count > 0
      ? [['parked', `${events(parked.count)}: sent when that call has ended`] as [string, string]]
      : []),
    ...waiting.map(({ eventId, place }): [string, string] => [
      'waiting',
      `event ${eventId} ${place === 'stream' ? 'in the stream' : 'at the front of the intake'}`,
    ]),
    ...letters.slice(0, MAX_LETTERS).map((letter): [string, string] => ['dead letter', letterText(letter)]),
    ...(letters.length > MAX_LETTERS
      ? [['', `and ${letters.length - MAX_LETTERS} more (--json shows them)`] as [string, string]]
      : []),
    ...unchecked.map((sentence): [string, string] => ['not checked', sentence]),
    ['next', nextText(report)],
  ];
  return rows.map(([name, value]) => `${name.padEnd(11)} ${value}\n`).join('');
}

const MAX_LETTERS = 5;

function stateText({ state, stopped, call, waiting, api }: UserReport): string {
  const halt = stopped === null ? '' : `; all calls are ${stopped}`;
  switch (state) {
    case 'in-call':
      return `in a call${call?.redrive === true ? ', redriven from the dead letters' : ''}${halt}`;
    case 'waiting':
      return `${events(waiting.length)} waiting for a call${halt}`;
    case 'dead-lettered':
      return 'dead-lettered: the last event ended without an import, or without its profile';
    case 'imported':
      return 'imported; no event is on its way';
    case 'missing':
      return 'no account, and no event on its way';
    case 'unknown':
      return api === null
        ? 'nothing is known of this user'
        : 'no account; an event may wait where nobody looked';
  }
}

function accountText({ hasAccount, api }: UserReport): string {
  if (api?.kind === 'refused')
    return `not known: the API refuses to say (${api.errorCode} ${api.errorInfo}`.concat(')');
  if (api !== null) return api.kind === 'imported' ? 'exists, says the API' : 'does not exist, says the API';
  if (hasAccount === null) return 'not known';
  return hasAccount ? 'exists: an event of this user was imported' : 'does not exist';
}

function callRows(call: UserCall, { stopped }: UserReport, nowMs: number): [string, string][] {
  const last = call.attempts.at(-1);
  const others = call.users > 1 ? `, with ${call.users - 1} other users` : '';
  return [
    ['call', `${call.callId}, ${call.command || 'of another version'}${others}`],
    ...call.eventIds.map((eventId): [string, string] => ['event', eventId]),
    ['attempt', attemptText(call, stopped, nowMs)],
    ...(call.suspicion === null ? [] : [['suspected', suspicionText(call.suspicion)] as [string, string]]),
    ...(last === undefined
      ? []
      : [
          [
            'last answer',
            `${iso(last.at)}  ${last.command}  ${last.errorCode || `HTTP ${last.httpStatus || 'none'}`}`,
          ] as [string, string],
        ]),
  ];
}

function suspicionText({ since, failures, errorCode, httpStatus, errorInfo, hasAccount }: Suspicion): string {
  const answer = errorCode === 0 ? `HTTP ${httpStatus || 'none'}` : String(errorCode);
  const account = hasAccount ? '; without its profile the account was imported' : '';
  return `called alone since ${iso(since)}: failed ${failures} times while others passed (${answer} ${errorInfo})${account}`;
}

function attemptText(call: UserCall, stopped: UserReport['stopped'], nowMs: number): string {
  const number = `number ${call.tries + 1}`;
  if (call.sentAt !== null) return `${number}, sent ${iso(call.sentAt)}; its answer is awaited`;
  if (call.nextAt !== null)
    return `${number}, at ${iso(call.nextAt)} (in ${Math.max(0, Math.round((call.nextAt - nowMs) / 1_000))} s)`;
  return stopped === null ? `${number}, at the next free slot` : `${number}, when calls are made again`;
}

function letterText({ eventId, state, reason, errorCode, errorInfo, deadSince }: StoredLetter): string {
  const code = errorCode === 0 ? '' : ` ${errorCode}`;
  const mark = state === 'dead' ? '' : ` [${state}]`;
  return `${eventId}  ${reason}${code}${mark} since ${iso(deadSince)}  ${errorInfo}`;
}

function nextText({ state, stopped, letters, hasAccount, unchecked }: UserReport): string {
  if (stopped !== null && (state === 'in-call' || state === 'waiting'))
    return `imsync status says why calls are ${stopped}; the events are kept`;
  switch (state) {
    case 'in-call':
    case 'waiting':
      return 'nothing: it goes on by itself';
    case 'dead-lettered':
      return `imsync dlq show ${letters.find((letter) => letter.state === 'dead')?.eventId}`;
    case 'imported':
      return 'nothing';
    case 'missing':
      return 'push the user: imsync push --user-id ID';
    case 'unknown':
      return hasAccount === true || unchecked.length === 0
        ? 'nothing'
        : 'see what was not checked; if the user should have an account, push them (a repeat does no harm)';
  }
}

function events(count: number): string {
  return count === 1 ? '1 event' : `${count} events`;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
