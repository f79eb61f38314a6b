import type { Status } from '../ops/status.ts';
import { TRANSIENT_ANSWERS } from './plan.ts';
import type { SimulatorFacts } from './stage.ts';

/** The output of the demo: permanent lines, and on a terminal a block below them that is redrawn. */
export interface Output {
  readonly isTerminal: boolean;
  line(text?: string): void;
  /** Redraws the block. An empty one removes it. Does nothing without a terminal. */
  block(lines: readonly string[]): void;
}

export function createOutput(stream: NodeJS.WriteStream): Output {
  const isTerminal = stream.isTTY === true;
  let drawn = 0;
  const erase = (): string => (drawn === 0 ? '' : `\x1b[${drawn}A\x1b[0J`);
  return {
    isTerminal,
    line(text = '') {
      stream.write(`${erase()}${text}\n`);
      drawn = 0;
    },
    block(lines) {
      if (!isTerminal) return;
      // A wrapped line would take two rows, and the next redraw would erase only one of them.
      const fitting = lines.map((line) => [...line].slice(0, (stream.columns ?? 80) - 1).join(''));
      stream.write(erase() + fitting.map((line) => `${line}\n`).join(''));
      drawn = lines.length;
    },
  };
}

/** The progress that the demo shows while it runs. `arrived` of `total` signups have been pushed so far. */
export interface Progress {
  readonly elapsedMs: number;
  readonly total: number;
  readonly arrived: number;
  readonly status: Status;
  readonly facts: SimulatorFacts;
}

export const BATCH_COMMAND = 'multiaccount_import';

/** Returns the mean number of accounts per batch call, or 0 before the first call. */
export function accountsPerCall(facts: SimulatorFacts): number {
  const batch = facts.commands[BATCH_COMMAND];
  return batch === undefined || batch.accepted === 0 ? 0 : batch.items / batch.accepted;
}

export function retriesOf(facts: SimulatorFacts): number {
  const counts = Object.values(facts.commands).flatMap((command) =>
    TRANSIENT_ANSWERS.map((answer) => command?.byErrorCode[answer] ?? 0),
  );
  return counts.reduce((sum, n) => sum + n, 0);
}

/** True when all signups have arrived and ended. Whether the counts are right is checked later. */
export function isOver({ total, arrived, status }: Progress): boolean {
  return arrived >= total && waitingIn(status) === 0 && sumOfCalls(status, 'users') === 0;
}

const BAR_COLUMNS = 30;

export function progressBlock(progress: Progress): string[] {
  const { total, status, facts } = progress;
  const { imported, superseded, deadLettered } = status.totals;
  const { started, allowed } = callsPerSecond(progress);
  const toRetry = sumOfCalls(status, 'delayed');
  const row = (name: string, text: string): string => `  ${name.padEnd(10)}${text}`;
  return [
    '',
    row('imported', `${bar(imported / total)}  ${count(imported)} of ${count(total)}`),
    row('calls/s', `${bar(started / allowed)}  ${started} of ${allowed} allowed`),
    row('a call', `${accountsPerCall(facts).toFixed(1)} accounts`),
    row(
      'waiting',
      `${count(waitingIn(status))} in the stream, ${count(sumOfCalls(status, 'users'))} in calls`,
    ),
    row(
      'retries',
      `${retriesOf(facts)} so far${toRetry === 0 ? '' : `, ${counted(toRetry, 'call')} to be retried`}`,
    ),
    row('ended', `${count(superseded)} superseded, ${count(deadLettered)} dead-lettered`),
    row('state', stateOf(progress)),
    '',
  ];
}

/** Returns one line for a file or a pipe. */
export function progressLine(progress: Progress): string {
  const { elapsedMs, total, status, facts } = progress;
  const { started, allowed } = callsPerSecond(progress);
  return [
    seconds(elapsedMs),
    `imported ${count(status.totals.imported)} of ${count(total)}`,
    `calls/s ${started} of ${allowed}`,
    `accounts a call ${accountsPerCall(facts).toFixed(1)}`,
    `retries ${retriesOf(facts)}`,
    `waiting ${count(waitingIn(status) + sumOfCalls(status, 'users'))}`,
    stateOf(progress),
  ].join(' · ');
}

/** Returns the line that announces the start or the end of a hold. */
export function holdLine({ elapsedMs, status: { hold } }: Progress): string {
  return `${seconds(elapsedMs)} · ${
    hold === null
      ? 'the API accepts calls again, and work continues'
      : `the API answers ${hold.errorCode}, so all calls are held; events wait, probes continue`
  }`;
}

/** `1 call`, `2 calls`. */
export function counted(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
}

export function count(n: number): string {
  return n.toLocaleString('en-US');
}

/** Events that are not in a call yet. */
function waitingIn({ intake }: Status): number {
  return intake.waiting + intake.parked;
}

function sumOfCalls({ calls }: Status, what: 'users' | 'delayed'): number {
  return Object.values(calls).reduce((sum, command) => sum + command[what], 0);
}

function callsPerSecond({ status, facts }: Progress): { started: number; allowed: number } {
  return {
    started: facts.commands[BATCH_COMMAND]?.startedLastSecond ?? 0,
    allowed: status.calls[BATCH_COMMAND]?.quota ?? 0,
  };
}

function stateOf({ status: { hold }, arrived, total }: Progress): string {
  if (hold !== null) return `held (${hold.errorCode}, ${hold.kind})`;
  return arrived < total ? 'signups arrive' : 'all signups have arrived; the rest is processed';
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(0).padStart(3)} s`;
}

function bar(share: number): string {
  const full = Number.isFinite(share) ? Math.round(BAR_COLUMNS * Math.min(1, Math.max(0, share))) : 0;
  return '█'.repeat(full) + '░'.repeat(BAR_COLUMNS - full);
}
