import type { FeedBatch, FeedCall } from '../../ops/feed/record.ts';

/** What calls of one command were answered of late. */
export interface AnswerRow extends Pick<FeedCall, 'command' | 'answer' | 'errorInfo'> {
  readonly calls: number;
  /** Calls with this answer among all of the command, 0 to 1. */
  readonly share: number;
  readonly averageMs: number;
  readonly lastAgoMs: number;
}

export const WINDOW_MS = 60_000;

/** The calls of the last minute, as far as workers sent them. Pure. */
export class Answers {
  #batches: { readonly atMs: number; readonly leftOut: number; readonly calls: readonly FeedCall[] }[] = [];

  add({ records, leftOut }: FeedBatch, nowMs: number): void {
    const calls = records.filter((record) => record.kind === 'call');
    if (calls.length + leftOut > 0) this.#batches.push({ atMs: nowMs, leftOut, calls });
    this.#batches = this.#recent(nowMs);
  }

  /** Most calls first. */
  rows(nowMs: number): AnswerRow[] {
    const sums = new Map<string, { last: FeedCall; lastMs: number; calls: number; ms: number }>();
    const ofCommand = new Map<string, number>();
    for (const { atMs, calls } of this.#recent(nowMs))
      for (const call of calls) {
        const key = `${call.command} ${call.answer}`;
        const { calls: before, ms } = sums.get(key) ?? { calls: 0, ms: 0 };
        sums.set(key, { last: call, lastMs: atMs, calls: before + 1, ms: ms + call.ms });
        ofCommand.set(call.command, (ofCommand.get(call.command) ?? 0) + 1);
      }
    const rows = [...sums.values()].map(({ last: { command, answer, errorInfo }, lastMs, calls, ms }) => ({
      ...{ command, answer, errorInfo, calls },
      share: calls / (ofCommand.get(command) ?? calls),
      averageMs: ms / calls,
      lastAgoMs: nowMs - lastMs,
    }));
    return rows.sort((a, b) => b.calls - a.calls);
  }

  /** Calls that workers made and did not send, for their number. */
  leftOut(nowMs: number): number {
    return this.#recent(nowMs).reduce((sum, { leftOut }) => sum + leftOut, 0);
  }

  #recent(nowMs: number) {
    return this.#batches.filter(({ atMs }) => nowMs - atMs < WINDOW_MS);
  }
}
