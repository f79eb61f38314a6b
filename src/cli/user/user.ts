import { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { requireForWorker } from '../../config/requirements.ts';
import type { StoredLetter } from '../../ledger/letters/dead-letters.ts';
import type { Suspicion } from '../../ledger/record.ts';
import type { UserCall } from '../../ledger/user-places.ts';
import { within } from '../../lifecycle/wait.ts';
import { printableJson } from '../../ops/feed/record.ts';
import { closeRedis, openRedis, type RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { redisSettings } from '../../redis/settings.ts';
import { openAccountChecks } from '../../tasks/account-checks.ts';
import type { AccountChecks, Presence } from '../../tasks/check-users.ts';
import { findUser, type UserReport } from '../../tasks/find-user.ts';
import { readTextFile, withRedis } from '../context.ts';
import { EXIT } from '../fail.ts';
import {
  answerText,
  attemptText,
  counted,
  isoTime,
  type NamedValue,
  namedLines,
  printResult,
  reasonText,
} from '../format.ts';
import { forgetCommand } from './forget.ts';

export function userCommand(): Command {
  return new Command('user')
    .description('find one user, or erase one')
    .addHelpText('after', '\nExamples:\n  imsync user show alice\n  imsync user forget alice --dry-run')
    .addCommand(showCommand())
    .addCommand(forgetCommand());
}

const HELP = `
Looks for the user in calls, in the intake and in the dead letters. If no event of the user is waiting or in a call, it
asks the API whether the account exists (account_check, within its own quota). That needs the app's key or UserSig.

Exit codes: 0 the user was found, or the API says that there is no account; 1 nothing is known of the user.

Examples:
  imsync user show alice
  imsync user show alice --json | jq -r .state`;

/** An answer takes some milliseconds. A check that waits for the quota gets this long. */
const ASK_MS = 10_000;

function showCommand(): Command {
  return new Command('show')
    .description('show where a user is: in a call, waiting, dead-lettered or imported')
    .argument('<user-id>', 'the ID of the user')
    .option('--no-api', 'do not ask the API')
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    .action(async (userId: string, flags: { api: boolean; json?: boolean }, self: Command) => {
      const report = await withRedis(self, ({ config, redis, keys }) => {
        const whyNot = flags.api ? askProblem(config) : '--no-api was given';
        return findUser({
          redis,
          keys,
          userId,
          ...(whyNot === undefined ? { askApi: (id) => askApi(config, redis, keys, id) } : { whyNot }),
        });
      });
      printResult(flags.json, report, userText(report, Date.now()));
      if (report.state === 'unknown') process.exitCode = EXIT.failed;
    });
}

/** Why the API cannot be asked; undefined when it can. */
export function askProblem(config: Config): string | undefined {
  if (config.api.form === 'hosted') return 'IMSYNC_API=hosted has no call that checks an account';
  try {
    requireForWorker(config);
    return undefined;
  } catch (error) {
    return (error as Error).message.replaceAll('\n', ' ');
  }
}

/** Asks for one account. Rejects when the API does not say whether it exists. */
export async function askApi(
  config: Config,
  redis: RedisClient,
  keys: Keys,
  userId: string,
): Promise<Presence> {
  const settings = redisSettings(config, readTextFile);
  const subscriber = openRedis(settings, 'loop', 'user-show-watch', () => undefined);
  let checks: AccountChecks | undefined;
  try {
    checks = await openAccountChecks({
      ...{ config, readFile: readTextFile, redis, subscriber, keys },
      slotClass: 'live',
      maxFailures: 2,
      report: { again() {}, answered() {} },
      onTrouble: () => undefined,
    });
    const answer = await within(checks.ask([userId]), ASK_MS, `no answer within ${ASK_MS / 1_000} s`);
    const presence = answer.get(userId);
    if (presence === undefined) throw new Error('the answer does not name this account');
    return presence;
  } finally {
    checks?.close();
    await closeRedis(subscriber);
  }
}

/** The report about one user as text for a person. Pure; times are ISO, UTC. */
export function userText(report: UserReport, nowMs: number): string {
  const { userId, call, parked, waiting, letters, unchecked } = report;
  const rows: NamedValue[] = [
    ['user', printableJson(userId)],
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
    ...letters.slice(0, MAX_LETTERS).map((letter): NamedValue => ['dead letter', letterLine(letter)]),
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
    ['attempt', nextAttemptText(call, stopped, nowMs)],
    ['suspected', call.suspicion === null ? '' : suspicionText(call.suspicion)],
    ['last answer', last === undefined ? '' : attemptText(last)],
  ];
}

function suspicionText({ since, failures, errorInfo, hasAccount, ...answer }: Suspicion): string {
  const account = hasAccount ? '; the account was imported without its profile' : '';
  return `sent alone since ${isoTime(since)}; it failed ${failures} times while others succeeded (${answerText(answer)} ${errorInfo})${account}`;
}

function nextAttemptText(call: UserCall, stopped: UserReport['stopped'], nowMs: number): string {
  const number = `number ${call.tries + 1}`;
  if (call.sentAt !== null) return `${number}, sent ${isoTime(call.sentAt)}; waiting for the answer`;
  if (call.nextAt !== null)
    return `${number}, at ${isoTime(call.nextAt)} (in ${Math.max(0, Math.round((call.nextAt - nowMs) / 1_000))} s)`;
  return stopped === null ? `${number}, at the next free slot` : `${number}, when calls are made again`;
}

function letterLine(letter: StoredLetter): string {
  const { eventId, state, errorInfo, deadSince } = letter;
  const mark = state === 'dead' ? '' : ` [${state}]`;
  return `${eventId}  ${reasonText(letter)}${mark} since ${isoTime(deadSince)}  ${errorInfo}`;
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
