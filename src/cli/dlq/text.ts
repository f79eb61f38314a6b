import { oddId } from '../../event/odd-values.ts';
import { LETTER_ADVICE, type StoredLetter } from '../../ledger/letters/dead-letters.ts';
import type { LetterSummary } from '../../ledger/letters/letter-store.ts';
import type { RedriveRun } from '../../ledger/letters/redrive-history.ts';
import { printableJson } from '../../ops/feed/record.ts';
import type { GivenUp, LeftWhy, RedriveReport } from '../../tasks/redrive.ts';
import { attemptText, counted, isoTime, type NamedValue, namedLines, reasonText } from '../format.ts';

/** Dead letters and redrives as text for a person. Pure; times are ISO, UTC. */

export function summaryText(summary: LetterSummary): string {
  const { total, groups, redriving, resolved } = summary;
  const others = `${redriving} being redriven, ${resolved} resolved`;
  if (total === 0) return `no dead letters (${others})\n`;
  const lines = [`${counted(total, 'dead letter')} (not counted here: ${others})`];
  for (const group of groups) {
    const { reason, count, newest } = group;
    lines.push('', `${count}  ${reasonText(group)}: ${LETTER_ADVICE[reason]}`);
    if (newest === null) continue;
    lines.push(
      `   newest      ${isoTime(newest.deadSince)}  ${newest.eventId}  user ${printableJson(newest.userId)}`,
    );
    if (newest.errorInfo !== '') lines.push(`   error info  ${newest.errorInfo}`);
    if (newest.notBefore !== null) lines.push(`   redrive     not before ${isoTime(newest.notBefore)}`);
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

export function letterLine(letter: StoredLetter): string {
  const { state, deadSince, eventId, userId, errorInfo } = letter;
  const stateWord = state === 'dead' ? '' : `  [${state}]`;
  return `${isoTime(deadSince)}  ${eventId}  ${printableJson(userId)}  ${reasonText(letter)}${stateWord}  ${errorInfo}\n`;
}

/** Everything about one letter. */
export function letterText(letter: StoredLetter, nowMs: number): string {
  const { command, httpStatus, deadSince, firstDeadAt } = letter;
  const first = firstDeadAt === deadSince ? '' : ` (for the first time ${isoTime(firstDeadAt)})`;
  return namedLines([
    ['event', letter.eventId],
    ['user', printableJson(letter.userId)],
    ['state', stateText(letter)],
    ['reason', reasonText(letter)],
    ['error info', letter.errorInfo],
    ['first seen', isoTime(letter.firstSeenAt)],
    ['dead since', `${isoTime(deadSince)}${first}`],
    ['call', command === '' ? 'none was made' : `${command}, HTTP ${httpStatus || 'none'}`],
    ...letter.attempts.map((attempt): NamedValue => ['attempt', attemptText(attempt)]),
    ...letter.redrives.map(({ at, by }): NamedValue => ['redriven', `${isoTime(at)}  by ${by}`]),
    ...Object.entries(letter.event).map(
      ([name, value]): NamedValue => ['field', `${name} = ${printableJson(value)}`],
    ),
    ['next', nextText(letter, nowMs)],
  ]);
}

function stateText({ state, resolvedAt, resolvedBy, eventId }: StoredLetter): string {
  if (state !== 'resolved' || resolvedAt === undefined) return state;
  const by = resolvedBy === eventId ? 'its own import' : `the import of the newer event ${resolvedBy}`;
  return `resolved ${isoTime(resolvedAt)} by ${by}`;
}

function nextText(letter: StoredLetter, nowMs: number): string {
  if (letter.state === 'resolved') return 'nothing: the account exists';
  if (letter.state === 'redriving') return 'wait: the event is in a call (see imsync status)';
  if (letter.partial === true)
    return 'the letter does not hold the complete event, so it cannot be redriven: push the event again';
  if (letter.notBefore !== null && letter.notBefore > nowMs)
    return `redrive it after ${isoTime(letter.notBefore)}; before that time a redrive leaves it out (--force takes it anyway)`;
  const password = letter.withheld === undefined ? '' : ' --password-file FILE';
  if (letter.reason !== 'invalid') {
    const missing =
      letter.withheld &&
      `; it holds no ${letter.withheld.join(', ')}: give it again, or push the event again`;
    return `${LETTER_ADVICE[letter.reason]} (imsync dlq redrive ${letter.eventId}${password})${missing ?? ''}`;
  }
  if (!oddId(letter.userId)?.isCertain) return LETTER_ADVICE.invalid;
  return `correct the producer, and send the event with the right user ID (imsync dlq redrive ${letter.eventId} --mended-id ID${password}); if this ID is meant, allow it with IMSYNC_ALLOW_ODD_IDS and redrive the letters of the user (imsync dlq redrive --reason invalid --user ID${password})`;
}

/** What is counted, and why it was left out. */
const LEFT: Readonly<Record<LeftWhy, readonly [noun: string, why: string]>> = {
  busy: ['user', 'they are in a call at the moment; redrive them again later'],
  early: [
    'user',
    'their letter cannot succeed before its date (see imsync dlq show); --force takes it anyway',
  ],
  invalid: [
    'user',
    'they have invalid letters only; push corrected events, or take them anyway with --reason invalid --user ID, without an event ID',
  ],
  partial: ['user', 'their letters do not hold the complete event; push the events again'],
  unnamed: [
    'name',
    'the list names them, but there is no such dead letter; either it was resolved, or it never existed',
  ],
  odd: [
    'letter',
    'their user IDs are odd and still refused; if they are meant, set IMSYNC_ALLOW_ODD_IDS for the workers and for this command',
  ],
  'no-user': ['letter', 'they name no valid user; push the events again'],
};

const GIVEN_UP: Readonly<Record<GivenUp, string>> = {
  held: 'stopped: all calls are held (imsync status says why) and enough redrive calls are waiting. Redrive the rest after the hold',
  paused:
    'stopped: calls are paused and enough redrive calls are waiting. Redrive the rest after imsync resume',
  'no-room':
    'stopped: the open redrive calls do not end. Is a worker running? See imsync status. Redrive the rest later',
  memory:
    'stopped: Redis is nearly full and live events need the rest of its memory. Raise maxmemory, then redrive the rest',
  failures:
    'stopped: too many users are dead again (imsync dlq says why). Remove the cause or raise --stop-at-failures, then redrive the rest',
  interrupted: 'interrupted: events that are in calls already continue by themselves',
};

/** `runId`: the run that can be resumed. */
export function redriveText(report: RedriveReport, dryRun: boolean, runId?: string): string {
  const { letters, users, calls, imported, failed, givenUp } = report;
  const what = `${counted(letters, 'letter')} of ${counted(users, 'user')}`;
  const left = Object.entries(report.left).map(([why, count]) => {
    const [noun, reason] = LEFT[why as LeftWhy];
    return `left out: ${counted(count, noun)}: ${reason}`;
  });
  const lines = [
    dryRun ? `would redrive ${what}` : `redriven: ${what}, in ${counted(calls, 'call')}`,
    ...(imported + failed > 0 ? [`so far ${counted(imported, 'user')} imported, ${failed} dead again`] : []),
    ...left,
    ...(givenUp === null ? [] : [GIVEN_UP[givenUp]]),
    ...(givenUp === null || runId === undefined
      ? []
      : [`continue with: imsync dlq redrive --resume ${runId}`]),
    ...(dryRun || users === 0 ? [] : ['to see how they end: imsync dlq, imsync status']),
  ];
  return `${lines.join('\n')}\n`;
}

export function runLine(run: RedriveRun): string {
  const { id, by, state, why, letters, users, imported, failed, startedAt } = run;
  const end = why === null ? state : `${state} (${why})`;
  const what = `${counted(letters, 'letter')} of ${counted(users, 'user')}`;
  const known = `${imported} imported and ${failed} dead again at its end`;
  return `${id}  ${isoTime(startedAt)}  ${end}  ${by}  ${what}, ${known}  ${requestText(run)}\n`;
}

function requestText({ filter, rate, force }: RedriveRun): string {
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
