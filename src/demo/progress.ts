import type { Status } from '../ops/status.ts';
import { TRANSIENT_ANSWERS } from './plan.ts';
import type { SimulatorFacts } from './simulator-control.ts';

/** The progress that the demo shows while it runs. */
export interface Progress {
  readonly elapsedMs: number;
  readonly total: number;
  readonly arrived: number;
  readonly imported: number;
  readonly superseded: number;
  readonly dead: number;
  /** Events that are not in a call yet. */
  readonly waiting: number;
  /** Users in calls that are in progress or wait for a retry. */
  readonly inCalls: number;
  readonly callsLastSecond: number;
  readonly callsPerSecond: number;
  readonly accountsPerCall: number;
  /** Answers with a transient error. */
  readonly retries: number;
  /** Calls that wait for a retry. */
  readonly toRetry: number;
  readonly hold: { readonly errorCode: number; readonly kind: string } | null;
}

export const BATCH_COMMAND = 'multiaccount_import';

/** `arrived` of `total` signups have been pushed so far. */
export function progressOf(
  status: Status,
  facts: SimulatorFacts,
  at: { readonly elapsedMs: number; readonly total: number; readonly arrived: number },
): Progress {
  const batch = facts.commands[BATCH_COMMAND];
  const calls = Object.values(status.calls);
  const { imported, superseded, deadLettered } = status.totals;
  return {
    ...at,
    imported,
    superseded,
    dead: deadLettered,
    waiting: status.intake.waiting + status.intake.parked,
    inCalls: calls.reduce((sum, { users }) => sum + users, 0),
    callsLastSecond: batch?.startedLastSecond ?? 0,
    callsPerSecond: status.calls[BATCH_COMMAND]?.quota ?? 0,
    accountsPerCall: accountsPerCall(facts),
    retries: retriesOf(facts),
    toRetry: calls.reduce((sum, { delayed }) => sum + delayed, 0),
    hold: status.hold,
  };
}

/** Returns the mean number of accounts per batch call, or 0 before the first call. */
export function accountsPerCall(facts: SimulatorFacts): number {
  const batch = facts.commands[BATCH_COMMAND];
  return batch === undefined || batch.accepted === 0 ? 0 : batch.items / batch.accepted;
}

/** Counts the answers with a transient error. */
export function retriesOf(facts: SimulatorFacts): number {
  const all = Object.values(facts.commands);
  return TRANSIENT_ANSWERS.reduce(
    (sum, answer) => sum + all.reduce((of, command) => of + (command?.byErrorCode[answer] ?? 0), 0),
    0,
  );
}

/** True when all signups have arrived and ended. Whether the counts are right is checked later. */
export function isOver({ total, arrived, waiting, inCalls }: Progress): boolean {
  return arrived >= total && waiting === 0 && inCalls === 0;
}

const BAR_COLUMNS = 30;

/** Returns the block that a terminal redraws. */
export function progressBlock(progress: Progress): string[] {
  const { total, imported, callsLastSecond, callsPerSecond, retries, toRetry } = progress;
  const row = (name: string, text: string): string => `  ${name.padEnd(10)}${text}`;
  return [
    '',
    row('imported', `${bar(imported / total)}  ${count(imported)} of ${count(total)}`),
    row(
      'calls/s',
      `${bar(callsLastSecond / callsPerSecond)}  ${callsLastSecond} of ${callsPerSecond} allowed`,
    ),
    row('a call', `${progress.accountsPerCall.toFixed(1)} accounts`),
    row('waiting', `${count(progress.waiting)} in the stream, ${count(progress.inCalls)} in calls`),
    row('retries', `${retries} so far${toRetry === 0 ? '' : `, ${counted(toRetry, 'call')} to be retried`}`),
    row('ended', `${count(progress.superseded)} superseded, ${count(progress.dead)} dead-lettered`),
    row('state', stateOf(progress)),
    '',
  ];
}

/** Returns one line for a file or a pipe. */
export function progressLine(progress: Progress): string {
  const { imported, total, waiting, inCalls } = progress;
  return [
    seconds(progress.elapsedMs),
    `imported ${count(imported)} of ${count(total)}`,
    `calls/s ${progress.callsLastSecond} of ${progress.callsPerSecond}`,
    `accounts a call ${progress.accountsPerCall.toFixed(1)}`,
    `retries ${progress.retries}`,
    `waiting ${count(waiting + inCalls)}`,
    stateOf(progress),
  ].join(' · ');
}

/** Returns the line that announces the start or the end of a hold. */
export function holdLine({ elapsedMs, hold }: Progress): string {
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

function stateOf({ hold, arrived, total }: Progress): string {
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
