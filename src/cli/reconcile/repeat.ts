import { isoTime } from '../format.ts';
import { dueAt, type EarlierRuns, type Schedule } from './schedule.ts';

/** What is known of runs before, and whether one was broken off. */
export interface EarlierState extends EarlierRuns {
  readonly isOpen: boolean;
}

export interface RepeatParts {
  readonly schedule: Schedule;
  /** Ends the loop: at once while it waits, otherwise when the run has ended. */
  readonly signal: AbortSignal;
  /** Reads what is known of runs before. Rejects while that is out of reach. */
  readonly earlier: () => Promise<EarlierState>;
  /** Notes when the next run is due, so that others see when it is late. */
  readonly note: (dueMs: number) => Promise<void>;
  /** Makes a run, or goes on with one. Rejects when it fails. */
  readonly run: () => Promise<void>;
  readonly say: (line: string) => void;
  readonly nowMs: () => number;
  /** Resolves at that time, or when `signal` is aborted. */
  readonly waitUntil: (atMs: number) => Promise<void>;
}

/** A run that failed goes on after so long. */
const AGAIN_MS = 10 * 60_000;
/** A run that begins so late was missed: its process was not there. */
const MISSED_MS = 60_000;

/**
 * Makes runs by the schedule until the signal comes. A run that was broken off goes on at once, one that was missed
 * is made at once, and one that failed goes on after ten minutes. Rejects only when it cannot read what was before
 * at its own start.
 */
export async function repeatRuns(parts: RepeatParts): Promise<void> {
  const { schedule, signal, say, nowMs, waitUntil } = parts;
  /** The last run of this process, which counts also when another query's run has taken its place in Redis. */
  let own: EarlierRuns['last'];
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    let isRead = false;
    try {
      const { isOpen, last, dueAt: noted } = await parts.earlier();
      const newest = last !== undefined && last.endedAt >= (own?.startedAt ?? 0) ? last : own;
      const dueMs = dueAt(nowMs(), { last: newest, dueAt: noted }, schedule);
      await parts.note(dueMs);
      isRead = true;
      if (!isOpen && nowMs() - dueMs > MISSED_MS)
        say(`The run of ${isoTime(dueMs)} was missed. It is made now.`);
      else if (!isOpen && dueMs > nowMs()) {
        say(`Next run: ${isoTime(dueMs)}.`);
        await waitUntil(dueMs);
      }
      if (signal.aborted) return;
      const startedAt = nowMs();
      await parts.run();
      own = { startedAt, endedAt: nowMs() };
    } catch (error) {
      if (signal.aborted) return;
      if (isFirst && !isRead) throw error;
      const againMs = nowMs() + AGAIN_MS;
      say(`imsync: this run failed, and goes on at ${isoTime(againMs)}: ${(error as Error).message}`);
      await waitUntil(againMs);
    }
  }
}
