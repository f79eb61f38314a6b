import type { Swept } from '../calls/sweep.ts';
import type { HostSwitch } from '../im/host-choice.ts';
import { type Quota, ratePerSecond } from '../pace/budget.ts';
import type { SlotClient } from '../pace/slot.ts';
import { type MemoryLevel, type MemoryWatermark, memoryText } from '../redis/memory-watermark.ts';
import { atMostEvery } from './line-limit.ts';
import type { Logger } from './log.ts';

/**
 * Logs the health of what a worker depends on: the clocks, the memory of Redis, the rate of the fleet, and
 * what sweeps find. Each condition is logged when it changes, not while it lasts.
 */

/**
 * A difference above this is logged. Little depends on this machine's clock: a UserSig, which is valid for
 * days, and the delays of BullMQ, which the sweep corrects.
 */
const CLOCK_DIFFERENCE_MS = 60_000;

/** Logs once when this machine's clock and that of Redis begin to differ, and once when they agree again. */
export function createClockLog(log: Logger): (aheadMs: number) => void {
  let differed = false;
  return (aheadMs) => {
    const differs = Math.abs(aheadMs) > CLOCK_DIFFERENCE_MS;
    if (differs === differed) return;
    differed = differs;
    if (!differs) log.info("this machine's clock and that of Redis agree again");
    else
      log.warn(
        { aheadMs: Math.round(aheadMs) },
        "this machine's clock and that of Redis are apart: set both by NTP, or UserSigs made here may be refused",
      );
  };
}

const MEMORY_LINES = {
  ample: { write: 'info', sentence: 'there is room for all again' },
  high: { write: 'warn', sentence: 'backfill and redrive wait. Raise its maxmemory, or find what fills it' },
  full: {
    write: 'error',
    sentence:
      'backfill and redrive wait, and the HTTP intake refuses. Raise its maxmemory, or find what fills it',
  },
} as const;
const MEMORY_LOOK_EVERY_MS = 5_000;

/**
 * Logs once when Redis's memory passes a watermark, up or down. It has its own timer, since a loop that
 * writes to Redis fails when Redis is full.
 */
export function startMemoryLog(
  watermark: MemoryWatermark,
  log: Logger,
  onTrouble: (error: Error) => void,
): { close(): void } {
  let logged: MemoryLevel = 'ample';
  const look = async (): Promise<void> => {
    const memory = await watermark.look();
    const { level, usedRatio } = memory;
    if (level === logged) return;
    logged = level;
    const ratio = usedRatio === null ? null : Math.round(usedRatio * 1000) / 1000;
    const { write, sentence } = MEMORY_LINES[level];
    log[write]({ memory: level, usedRatio: ratio }, `${memoryText(memory)}: ${sentence}`);
  };
  const lookNow = (): void => void look().catch(onTrouble);
  lookNow();
  const timer = setInterval(lookNow, MEMORY_LOOK_EVERY_MS);
  return { close: () => clearInterval(timer) };
}

/**
 * Logs once when the fleet runs a command slower than this process is configured, and once when it no longer
 * does: another process has a lower quota, or the API throttles. Asking for the rate also keeps this
 * process's quota known to the fleet while it makes no calls. Resolves to the rates in force by command.
 */
export function createRateLog(
  commands: readonly { readonly command: string; readonly slots: SlotClient; readonly quota: Quota }[],
  log: Logger,
): () => Promise<ReadonlyMap<string, number>> {
  const logged = new Map<string, keyof typeof RATE_SENTENCES>();
  return async () => {
    const rates = new Map<string, number>();
    for (const { command, slots, quota } of commands) {
      const inForce = await slots.rate();
      rates.set(command, inForce.ratePerSecond);
      const own = ratePerSecond(quota);
      const isLower = inForce.fullRatePerSecond < own * 0.999;
      const isThrottled = inForce.ratePerSecond < inForce.fullRatePerSecond * 0.999;
      const now = isThrottled ? 'throttled' : isLower ? 'lower' : 'full';
      const before = logged.get(command) ?? 'full';
      logged.set(command, now);
      if (now === before) continue;
      const fields = { command, ratePerSecond: rounded(inForce.ratePerSecond), configured: rounded(own) };
      if (now === 'full') log.info(fields, RATE_SENTENCES.full);
      else log.warn(fields, RATE_SENTENCES[now]);
    }
    return rates;
  };
}

const RATE_SENTENCES = {
  full: 'calls go at the full configured rate again',
  lower: 'another worker is configured to a lower quota, which counts: give all the same',
  throttled: 'calls are slowed down because the API said "too often"; the rate recovers by itself',
};

function rounded(rate: number): number {
  return Math.round(rate * 10) / 10;
}

/** Calls of another version may wait for long: they are logged at most this often. */
const FOREIGN_REPEAT_MS = 60_000;

/** Logs what a sweep mended, and what it cannot mend. */
export function createSweepLog(log: Logger): (swept: Swept) => void {
  const foreignLine = atMostEvery(FOREIGN_REPEAT_MS);
  let lastUnaccounted = 0;
  return ({ putBack, overdue, foreign, unaccounted }) => {
    if (putBack > 0) log.warn({ calls: putBack }, 'calls without a job were put back');
    if (overdue > 0)
      log.warn(
        { calls: overdue },
        "calls were put off for longer than they should be, and are brought forward: check the machines' clocks",
      );
    if (foreign > 0)
      foreignLine(() =>
        log.warn(
          { calls: foreign },
          'calls of another version or API form are left for a worker that makes them; start one if none runs',
        ),
      );
    // Only a number that two sweeps in a row find is reported.
    if (unaccounted !== 0 && unaccounted === lastUnaccounted)
      log.error(
        { events: unaccounted },
        'the books count other events in calls than the open calls hold: a bug, please report it',
      );
    lastUnaccounted = unaccounted;
  };
}

export function logHostSwitch(log: Logger): (change: HostSwitch) => void {
  return ({ from, to, why }) =>
    log.warn(
      { from: new URL(from).host, to: new URL(to).host },
      why === 'trial'
        ? "the region's main host is tried again"
        : 'the host gives no connections: calls go to the other host of the region',
    );
}
