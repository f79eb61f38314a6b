import type { Config, ReadFile } from '../config/config.ts';
import { hasReceivers, readReceivers } from '../config/receivers.ts';
import type { Logger } from '../logging/log.ts';
import type { WatchedLoop } from '../ops/liveness.ts';
import type { ProcessMetrics } from '../ops/process-metrics.ts';
import type { Keys } from '../redis/keys.ts';
import type { Connections } from './connections.ts';
import type { Pacing } from './pacing.ts';

interface Notices {
  readonly loops: readonly WatchedLoop[];
  close(): Promise<void>;
}

/** Starts the loop that sends notices, if there are receivers. Without them nothing of it is loaded. */
export async function startNotices(options: {
  readonly config: Config;
  readonly readFile: ReadFile;
  readonly id: string;
  readonly connections: Connections;
  readonly keys: Keys;
  readonly pacing: Pacing;
  readonly metrics: ProcessMetrics;
  readonly log: Logger;
}): Promise<Notices> {
  const { config, readFile, id, connections, keys, pacing, metrics, log } = options;
  if (!hasReceivers(config)) return { loops: [], close: async () => undefined };
  const [{ NoticeSender }, { createNoticeMetrics }] = await Promise.all([
    import('../notices/sender.ts'),
    import('../notices/metrics.ts'),
  ]);
  const sender = new NoticeSender({
    redis: connections.commands,
    keys,
    processId: id,
    sdkAppId: config.app.sdkAppId,
    oldestAfterMs: config.notify.oldestAfterMs,
    receivers: () => readReceivers(config, readFile),
    metrics: createNoticeMetrics(metrics.registry),
    log,
    onTrouble: connections.log.trouble('the sender of notices'),
  });
  pacing.watch.onChange(() => sender.fleetChanged());
  return { loops: [{ name: 'notices', deadline: sender.deadline }], close: () => sender.close() };
}
