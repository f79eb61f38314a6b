import type { DeadReason, StoredLetter } from '../../ledger/letters/dead-letters.ts';
import type { LetterSummary } from '../../ledger/letters/letter-summary.ts';
import type { RedriveRun } from '../../ledger/letters/redrive-history.ts';
import type { LeftWhy, RedriveReport } from '../../tasks/redrive.ts';
import type { GivenUp } from '../../tasks/redrive-policy.ts';

/** Dead letters for a person. Pure; times are ISO, UTC. */

/** What the reason means, and what to do about it. */
const ADVICE: Readonly<Record<DeadReason, string>> = {
  invalid: 'the event does not hold up and was never sent: mend its producer and push it anew',
  rejected: 'the API refuses the account: mend the cause, then redrive; or push a corrected event',
  profile: 'the account is imported, its nick or picture was refused: push the user with another profile',
  expired: 'retried until it was too old: redrive once the API answers again',
  unknown: 'an answer that no table knows: read errorInfo, then redrive',
};

export function summaryText(summary: LetterSummary): string {
  const { total, groups, redriving, resolved } = summary;
  const others = `${redriving} being redriven, ${resolved} resolved`;
  if (total === 0) return `no dead letters (${others})\n`;
  const lines = [`${total} dead ${total === 1 ? 'letter' : 'letters'} (besides: ${others})`];
  for (const { reason, errorCode, count, newest } of groups) {
    lines.push('', `${count}  ${reason}${codeText(errorCode)}: ${ADVICE[reason]}`);
    if (newest === null) continue;
    lines.push(
      `   newest  ${time(newest.deadSince)}  ${newest.eventId}  user ${JSON.stringify(newest.userId)}`,
    );
    if (newest.errorInfo !== '') lines.push(`   says    ${newest.errorInfo}`);
    if (newest.notBefore !== null) lines.push(`   not before ${time(newest.notBefore)} can it succeed`);
  }
  const [{ reason, newest } = { reason: '', newest: null }] = groups;
  lines.push(
    '',
    'next:',
    `   imsync dlq list --reason ${reason}`,
    ...(newest === null ? [] : [`   imsync dlq show ${newest.eventId}`]),
    '   imsync dlq redrive --dry-run',
  );
  return `${lines.join('\n')}\n`;
}

/** One line a letter. */
export function letterLine(letter: StoredLetter): string {
  const { state, deadSince, eventId, userId, reason, errorCode, errorInfo } = letter;
  const stateWord = state === 'dead' ? '' : `  [${state}]`;
  const words = `${reason}${codeText(errorCode)}`;
  return `${time(deadSince)}  ${eventId}  ${JSON.stringify(userId)}  ${words}${stateWord}  ${errorInfo}\n`;
}

/** All about one letter. */
export function letterText(letter: StoredLetter, nowMs: number): string {
  const rows: [string, string][] = [
    ['event', letter.eventId],
    ['user', JSON.stringify(letter.userId)],
    ['state', stateText(letter)],
    ['reason', `${letter.reason}${codeText(letter.errorCode)}`],
    ['says', letter.errorInfo],
    ['first seen', time(letter.firstSeenAt)],
    ['dead since', diedText(letter)],
    [
      'call',
      letter.command === '' ? 'none was made' : `${letter.command}, HTTP ${letter.httpStatus || 'none'}`,
    ],
    ...letter.attempts.map((attempt): [string, string] => [
      'attempt',
      `${time(attempt.at)}  ${attempt.command}  ${attempt.errorCode || `HTTP ${attempt.httpStatus || 'none'}`}`,
    ]),
    ...letter.redrives.map(({ at, by }): [string, string] => ['redriven', `${time(at)}  by ${by}`]),
    ...Object.entries(letter.event).map(([name, value]): [string, string] => [
      'field',
      `${name} = ${JSON.stringify(value)}`,
    ]),
    ['next', nextText(letter, nowMs)],
  ];
  return rows
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name.padEnd(11)} ${value}\n`)
    .join('');
}

function stateText({ state, resolvedAt, resolvedBy, eventId }: StoredLetter): string {
  if (state !== 'resolved' || resolvedAt === undefined) return state;
  const by = resolvedBy === eventId ? 'its own import' : `the import of the newer event ${resolvedBy}`;
  return `resolved ${time(resolvedAt)} by ${by}`;
}

function diedText({ deadSince, firstDeadAt }: StoredLetter): string {
  return firstDeadAt === deadSince ? time(deadSince) : `${time(deadSince)} (first ${time(firstDeadAt)})`;
}

function nextText(letter: StoredLetter, nowMs: number): string {
  if (letter.state === 'resolved') return 'nothing: the account is there';
  if (letter.state === 'redriving') return 'wait: the event is in a call (imsync status)';
  if (letter.partial === true)
    return 'not all of what came is kept, so it cannot be redriven: push the event anew';
  if (letter.withheld !== undefined)
    return `its ${letter.withheld.join(', ')} is kept nowhere: give it anew (imsync dlq redrive ${letter.eventId} --password-file FILE), or push the event anew`;
  if (letter.notBefore !== null && letter.notBefore > nowMs)
    return `redrive it after ${time(letter.notBefore)}; before that it is refused (--force tries all the same)`;
  return `${ADVICE[letter.reason]}${letter.reason === 'invalid' ? '' : ` (imsync dlq redrive ${letter.eventId})`}`;
}

const LEFT: Readonly<Record<LeftWhy, string>> = {
  busy: 'users are in a call just now: redrive again later',
  early: 'users have a letter that cannot succeed before its date: see dlq show; --force tries all the same',
  invalid:
    'users have invalid letters only: mended and pushed anew they pass; --reason invalid tries all the same',
  partial: 'users have letters that do not hold all of what came: push them anew',
  unnamed: 'names of the list have no dead letter that is meant: imported meanwhile, or never dead',
  'no-user': 'letters name no valid user: push them anew',
};

const GIVEN_UP: Readonly<Record<GivenUp, string>> = {
  held: 'stopped: all calls are held (imsync status says why), and enough redrive calls wait. Redrive the rest when it is over',
  paused: 'stopped: calls are paused, and enough redrive calls wait. Redrive the rest after imsync resume',
  'no-room':
    'stopped: the redrive calls that are open do not end. Is a worker running? (imsync status). Redrive the rest later',
  memory:
    'stopped: Redis is nearly full, and live events need what is left. Raise its maxmemory, then redrive the rest',
  failures:
    'stopped: too many are dead once more (imsync dlq says why). Mend the cause, or raise --stop-at-failures, then redrive the rest',
  interrupted: 'interrupted: what is in calls goes on by itself',
};

/** `runId`: names the run, to go on with it. */
export function redriveText(report: RedriveReport, dryRun: boolean, runId?: string): string {
  const { letters, users, calls, imported, failed, givenUp } = report;
  const what = `${letters} letters of ${users} users`;
  const known =
    imported + failed > 0 ? `by now ${imported} users are imported, ${failed} dead once more` : '';
  const lines = [
    dryRun ? `would redrive ${what}` : `redriven: ${what}, in ${calls} calls`,
    ...(known === '' ? [] : [known]),
    ...Object.entries(report.left).map(([why, count]) => `left: ${count} ${LEFT[why as LeftWhy]}`),
    ...(givenUp === null ? [] : [GIVEN_UP[givenUp]]),
    ...(givenUp === null || runId === undefined ? [] : [`go on with: imsync dlq redrive --resume ${runId}`]),
    ...(dryRun || users === 0 ? [] : ['how they end: imsync dlq, imsync status']),
  ];
  return `${lines.join('\n')}\n`;
}

/** One run of a redrive a line. */
export function runLine(run: RedriveRun): string {
  const { id, by, state, why, letters, users, imported, failed, startedAt } = run;
  const end = why === null ? state : `${state} (${why})`;
  const known = `${imported} imported and ${failed} dead again when it ended`;
  return `${id}  ${time(startedAt)}  ${end}  ${by}  ${letters} letters of ${users} users, ${known}  ${askedText(run)}\n`;
}

function askedText({ filter, rate, force }: RedriveRun): string {
  const words = [
    ...(filter.errorCode === undefined ? [] : [`--code ${filter.errorCode}`]),
    ...(filter.reason === undefined ? [] : [`--reason ${filter.reason}`]),
    ...(filter.user === true ? ['--user …'] : []),
    ...(filter.olderThanMs === undefined ? [] : [`--older-than ${filter.olderThanMs / 1_000}s`]),
    ...(filter.newerThanMs === undefined ? [] : [`--newer-than ${filter.newerThanMs / 1_000}s`]),
    ...(filter.eventIds === undefined ? [] : [`${filter.eventIds} event IDs`]),
    ...(filter.file === true ? ['--file …'] : []),
    ...(filter.limit === undefined ? [] : [`--limit ${filter.limit}`]),
    ...(rate === null ? [] : [`--rate ${rate}`]),
    ...(force ? ['--force'] : []),
  ];
  return words.length === 0 ? 'all' : words.join(' ');
}

function codeText(errorCode: number): string {
  return errorCode === 0 ? '' : ` ${errorCode}`;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
