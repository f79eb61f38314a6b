import { printable } from '../../ops/feed/record.ts';
import { sendersText } from '../../ops/feed/watch-feed.ts';
import type { Status } from '../../ops/status.ts';
import { counted, duration, grouped } from '../format.ts';
import { type AnswerRow, WINDOW_MS } from './answers.ts';
import { clipped, columns, type Line, styled } from './line.ts';
import type { Looks } from './looks.ts';

/** What one frame shows. */
export interface View {
  readonly redisUrl: string;
  readonly looks: Looks;
  /** This process's clock (`performance.now()`). */
  readonly nowMs: number;
  /** Why Redis gives no answer; '' while it does. */
  readonly trouble: string;
  readonly answers: readonly AnswerRow[];
  readonly leftOut: number;
  /** IDs of the workers that tell of their calls; undefined while that is not known. */
  readonly senders: ReadonlySet<string> | undefined;
}

export interface Size {
  readonly width: number;
  /** Undefined: as many lines as there are. */
  readonly height: number | undefined;
}

const LEAST_WIDTH = 60;
const LABEL = 11;
const MOST_LISTED = 50;

/** Draws the screen: first what always matters, then answers and workers share what is left. Pure. */
export function frameOf(view: View, size: Size): Line[] {
  const { width, height } = size;
  if (width < LEAST_WIDTH)
    return folded(`q quits. imsync top needs ${LEAST_WIDTH} columns; the terminal has ${width}.`, width);
  const look = view.looks.latest;
  if (look === undefined) return [['Redis is asked …']];
  const { status, redisMs, atMs } = look;
  const redisNowMs = redisMs + view.nowMs - atMs;
  const fixed = [
    header(view, status, redisNowMs, size),
    ...troubleLine(view, view.nowMs - atMs),
    ...stateLines(status, redisNowMs),
    ...eventLines(status),
    ...rateLines(view.looks, width),
    ...callLines(status, width),
    ...letterLines(status),
    ...redisLine(status),
  ];
  const answers = answerLines(view, status);
  const workers = workerLines(view, status, redisNowMs);
  const all = [...fixed, [], ...answers, [], ...workers];
  if (height === undefined || all.length <= height) return all;
  const room = height - fixed.length;
  const forWorkers = Math.min(workers.length, Math.max(2, room - answers.length, Math.floor(room / 3)));
  return [...fixed, ...shortened(answers, room - forWorkers), ...shortened(workers, forWorkers)].slice(
    0,
    height,
  );
}

/** A sentence in lines of whole words. */
function folded(sentence: string, width: number): Line[] {
  const lines = [''];
  for (const word of sentence.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.map((line) => [line]);
}

/** The last line says how many are not shown. */
function shortened(lines: readonly Line[], room: number): Line[] {
  if (lines.length <= room) return [...lines];
  const shown = Math.max(1, room - 1);
  return [...lines.slice(0, shown), [styled('faint', `  … ${lines.length - shown} more`)]].slice(0, room);
}

function header({ redisUrl }: View, { sdkAppId }: Status, redisNowMs: number, { width, height }: Size): Line {
  const time = `${new Date(redisNowMs).toISOString().slice(11, 19)} UTC`;
  const right = height === undefined ? time : `${time}  q quits`;
  const room = width - columns(right) - 2;
  const left = clipped(`imsync top  app ${sdkAppId}  ${printable(redisUrl)}`, room);
  return [styled('title', left + ' '.repeat(room + 2 - columns(left))), styled('faint', right)];
}

function troubleLine({ trouble }: View, ageMs: number): Line[] {
  if (trouble === '') return [];
  const text = `This is ${duration(ageMs / 1_000)} old: Redis gives no answer (${printable(trouble)})`;
  return [[styled('bad', text)]];
}

function stateLines({ hold, pause }: Status, nowMs: number): Line[] {
  const since = (ms: number): string => `for ${duration((nowMs - ms) / 1_000)}`;
  const lines: Line[] = [];
  if (pause !== null) {
    const reason = pause.reason === '' ? '' : `: ${printable(pause.reason)}`;
    lines.push([
      styled('warn', `paused by ${printable(pause.by ?? 'an operator')} ${since(pause.since)}${reason}`),
    ]);
  }
  if (hold !== null) {
    const toProbeMs = hold.nextProbeAt - nowMs;
    const probe = toProbeMs > 0 ? `in ${duration(toProbeMs / 1_000)}` : 'due now';
    lines.push([styled('bad', `held (${printable(hold.kind)}) ${since(hold.since)}; next probe ${probe}`)]);
    lines.push([`${hold.errorCode} ${printable(hold.errorInfo)}`]);
  }
  return labelled('State', ...(lines.length === 0 ? [[styled('good', 'running')]] : lines));
}

function eventLines({ intake, totals, calls, suspects }: Status): Line[] {
  const users = Object.values(calls).reduce((sum, one) => sum + one.users, 0);
  const oldest = intake.oldestAgeMs === null ? '' : ` (the oldest for ${age(intake.oldestAgeMs)})`;
  const { accepted, imported, superseded, forgotten } = totals;
  const suspected = `${counted(suspects.calls, 'suspect call')}: imsync status names the users`;
  return labelled(
    'Events',
    [`waiting ${grouped(intake.waiting)}${oldest}  ${pairs({ parked: intake.parked, 'in calls': users })}`],
    [pairs({ accepted, imported, superseded, ...(forgotten > 0 && { forgotten }) })],
    ...(suspects.calls === 0 ? [] : [[styled('warn', suspected)]]),
  );
}

function rateLines(looks: Looks, width: number): Line[] {
  const rates = looks.rates();
  if (rates === undefined) return labelled('Per second', [styled('faint', 'known at the second look')]);
  const { accepted, imported, deadLettered, overMs } = rates;
  const { perSecond, overMs: spanMs } = looks.imported();
  const shown = perSecond.slice(-(width - LABEL - 27));
  const span = duration((spanMs * shown.length) / perSecond.length / 1_000);
  return [
    ...labelled('Per second', [
      `accepted ${rate(accepted)}  imported ${rate(imported)}  dead-lettered ${rate(deadLettered)}`,
      styled('faint', `  (over ${duration(overMs / 1_000)})`),
    ]),
    ...labelled('Imported', [
      sparkline(shown),
      styled('faint', `  ${span}, at most ${rate(Math.max(0, ...shown))}/s`),
    ]),
  ];
}

const BLOCKS = ' ▁▂▃▄▅▆▇█';

function sparkline(values: readonly number[]): string {
  const most = Math.max(...values);
  return values.map((value) => BLOCKS[value <= 0 ? 0 : Math.max(1, Math.round((8 * value) / most))]).join('');
}

const CALL_COLUMNS = { 'in 1 s': 7, rate: 9, quota: 7, active: 7, waiting: 8, retry: 6, users: 6 };

function callLines({ calls }: Status, width: number): Line[] {
  const barWidth = Math.max(0, Math.min(30, width - 74));
  const row = (cells: readonly string[]): string =>
    Object.values(CALL_COLUMNS)
      .map((columnWidth, i) => cells[i]?.padStart(columnWidth))
      .join('');
  const first = 22 + (barWidth > 0 ? barWidth + 2 : 0);
  return [
    [styled('title', 'Calls'.padEnd(first)), styled('faint', row(Object.keys(CALL_COLUMNS)))],
    ...Object.entries(calls).map(([command, one]): Line => {
      const bar = barWidth > 0 ? barOf(one.startedLastSecond / one.rate, barWidth) : '';
      const allowed = `of ${one.rate.toFixed(1)}`;
      const counts = [one.quota, one.active, one.waiting, one.delayed, one.users].map(grouped);
      return [`  ${command.padEnd(20)}${bar}${row([grouped(one.startedLastSecond), allowed, ...counts])}`];
    }),
  ];
}

function barOf(share: number, width: number): string {
  const full = share > 0 ? Math.min(width, Math.max(1, Math.round(share * width))) : 0;
  return `[${'#'.repeat(full).padEnd(width, '-')}]`;
}

function letterLines({ deadLetters }: Status): Line[] {
  const { total, byReason, byCode, oldestAgeMs } = deadLetters;
  if (total === 0) return labelled('Dead', ['no dead letters']);
  const codes = Object.entries(byCode).map(([code, n]) => [code === '0' ? 'none' : code, n] as const);
  const oldest = oldestAgeMs === null ? '' : `, the oldest for ${age(oldestAgeMs)}`;
  return labelled(
    'Dead',
    [styled('warn', counted(total, 'letter')), `${oldest}: ${shares(Object.entries(byReason))}`],
    [`codes: ${shares(codes)}`],
  );
}

function redisLine({ redis }: Status): Line[] {
  const { memoryUsedRatio: ratio, memory } = redis;
  const text = ratio === null ? 'no memory limit' : `${Math.floor(ratio * 100)} % of its memory limit used`;
  if (memory === 'ample') return labelled('Redis', [text]);
  const effect =
    memory === 'full' ? 'the HTTP intake, imports and redrives wait' : 'imports and redrives wait';
  return labelled('Redis', [styled('bad', `${text}: ${effect}`)]);
}

function answerLines({ answers, senders, leftOut }: View, { workers }: Status): Line[] {
  const missed = leftOut === 0 ? '' : `; ${grouped(leftOut)} calls are not counted: too many to be sent`;
  const head = `of the last ${WINDOW_MS / 1_000} s; ${printable(sendersText(workers, senders))}${missed}`;
  if (answers.length === 0) return [...labelled('Answers', [head]), [styled('faint', '  no call yet')]];
  return [
    ...labelled('Answers', [head]),
    ...answers.slice(0, MOST_LISTED).map((one): Line => {
      const share = one.share < 0.01 ? '<1 %' : `${Math.round(one.share * 100)} %`;
      const what = `  ${printable(one.command).padEnd(20)}${printable(one.answer).padEnd(8)}`;
      const cells = `${what}${grouped(one.calls).padStart(7)}${share.padStart(6)}${`${Math.round(one.averageMs)} ms`.padStart(9)}`;
      return [
        one.answer === '0' ? cells : styled('warn', cells),
        `  ${age(one.lastAgoMs)} ago  ${printable(one.errorInfo)}`,
      ];
    }),
  ];
}

function workerLines({ senders }: View, { workers }: Status, nowMs: number): Line[] {
  if (workers.length === 0) return labelled('Workers', [styled('bad', 'none: start one with imsync worker')]);
  const idWidth = Math.max(...workers.map(({ id }) => id.length)) + 2;
  const byId = [...workers].sort((a, b) => (a.id < b.id ? -1 : 1));
  const rows = byId.slice(0, MOST_LISTED).map(({ id, version, lastSeen, intake = '' }): Line => {
    const seen = `seen ${duration((nowMs - lastSeen) / 1_000)} ago`;
    const notes = [printable(intake), ...(senders?.has(id) === false ? ['sends no calls'] : [])].join('  ');
    return [`  ${printable(id).padEnd(idWidth)}${printable(version).padEnd(9)}${seen.padEnd(15)}${notes}`];
  });
  return [...labelled('Workers', [String(workers.length)]), ...rows];
}

/** The name stands before the first line only. */
function labelled(name: string, ...lines: readonly Line[]): Line[] {
  return lines.map((line, i) => [styled('title', (i === 0 ? name : '').padEnd(LABEL)), ...line]);
}

/** accepted 1,234  imported 1,200 */
function pairs(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, n]) => `${name} ${grouped(n)}`)
    .join('  ');
}

/** 70402 (30), 40005 (12): most first. */
function shares(counts: readonly (readonly [string, number])[]): string {
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, n]) => `${printable(name)} (${grouped(n)})`)
    .join(', ');
}

function rate(perSecond: number): string {
  return perSecond >= 100 ? grouped(Math.round(perSecond)) : perSecond.toFixed(1);
}

function age(ms: number): string {
  return ms < 10_000 ? `${(ms / 1_000).toFixed(1)} s` : duration(ms / 1_000);
}
