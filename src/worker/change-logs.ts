import { maskedView } from '../config/mask.ts';
import { createClockLog, createRateLog, startMemoryLog } from '../logging/health-log.ts';
import { startHoldLog } from '../logging/hold-log.ts';
import { startPresence } from '../ops/presence.ts';
import { quotaOf, ratePerSecond } from '../pace/budget.ts';
import { createMemoryWatermark } from '../redis/memory-watermark.ts';
import type { Parts } from './calls.ts';

/** What `imsync config` shows, by the path of the setting. Compared between workers. */
function settingsToTell(loaded: Parameters<typeof maskedView>[0]): Record<string, string> {
  return Object.fromEntries(maskedView(loaded).map(({ path, value }) => [path, value]));
}

/** Tells the fleet that this worker lives, and the log what changes: holds, rates, clocks and memory. */
export function startChangeLogs(
  { config, capacity, counts, connections, keys, pacing, api, metrics, feed, log }: Omit<Parts, 'random'>,
  own: { readonly id: string; readonly version: string; readonly intakeUrl: string | undefined },
): { close(): Promise<void> } {
  const redis = connections.commands;
  const { trouble } = connections.log;
  const { hold, watch, limiters } = pacing;
  startHoldLog({ hold, watch, redis, keys, log, onTrouble: trouble('reading the hold') });
  const logRates = createRateLog(
    Object.values(limiters).map(({ command, slots }) => ({
      command,
      slots,
      quota: quotaOf(config, command),
    })),
    log,
  );
  const logClock = createClockLog(log);
  const { batch } = capacity;
  const { perSecond } = capacity.quota(batch);
  let rate = ratePerSecond(capacity.quota(batch));
  const presence = startPresence({
    ...{ redis, keys, ...own },
    oddEvents: metrics.oddEvents,
    onForgotten: () =>
      log.error(
        'Redis has lost what it held: it was emptied, or put back to an earlier state. Events that waited or were in ' +
          'calls are gone, with the books, the dead letters and a pause. Work goes on; push again what is missing',
      ),
    news: {
      counts,
      pace: () => ({ command: batch, rate, quota: perSecond }),
      settings: settingsToTell({ config, origins: {} }),
    },
    alongside: async () => {
      rate = (await logRates()).get(batch) ?? rate;
    },
    onClock: (aheadMs) => {
      api.clockIsAhead(aheadMs);
      feed.clockIsAhead(aheadMs);
      logClock(aheadMs);
    },
    onTrouble: trouble('the sign of life'),
  });
  watch.onChange(() => presence.signNow());
  const memory = startMemoryLog(createMemoryWatermark(redis, keys), log, trouble("a look at Redis's memory"));
  return {
    async close() {
      memory.close();
      await presence.close();
    },
  };
}
