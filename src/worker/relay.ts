import type { Config, ReadFile } from '../config/config.ts';
import type { Logger } from '../logging/log.ts';
import { createRelayReport } from '../logging/relay-log.ts';
import type { WatchedLoop } from '../ops/liveness.ts';
import type { ProcessMetrics } from '../ops/process-metrics.ts';
import type { Keys } from '../redis/keys.ts';
import { createMemoryWatermark } from '../redis/memory-watermark.ts';
import type { Source } from '../relay/open-outbox.ts';
import type { Connections } from './connections.ts';

export interface RunningRelay {
  readonly loops: readonly WatchedLoop[];
  /** Why no row could be relayed now, in sentences. A relay that stands by is ready. */
  problems(): string[];
  close(): Promise<void>;
}

const TICK_MS = 1_000;

/** Starts the relay. Nothing of it is loaded before. */
export async function startRelay(options: {
  readonly config: Config;
  readonly readFile: ReadFile;
  readonly id: string;
  readonly connections: Pick<Connections, 'commands' | 'log'>;
  readonly keys: Keys;
  readonly metrics: Pick<ProcessMetrics, 'registry'>;
  readonly log: Logger;
  readonly source?: Source;
}): Promise<RunningRelay> {
  const { config, readFile, id, connections, keys, metrics, log, source } = options;
  const [{ Relay }, { openOutbox }, { createRelayMetrics }] = await Promise.all([
    import('../relay/relay.ts'),
    import('../relay/open-outbox.ts'),
    import('../relay/metrics.ts'),
  ]);
  const redis = connections.commands;
  const { report, tick } = createRelayReport(log, createRelayMetrics(metrics.registry));
  const relay = new Relay({
    ...{ redis, keys, report },
    name: id,
    rules: { adminId: config.app.adminId, form: config.api.form },
    maxWaiting: config.relay.maxWaiting,
    memory: createMemoryWatermark(redis, keys),
    open: (wake) => openOutbox(config, readFile, { redis, keys }, source, wake),
    onTrouble: connections.log.trouble('the relay'),
  });
  relay.start();
  const timer = setInterval(tick, TICK_MS);
  return {
    loops: [{ name: 'relay', deadline: relay.deadline }],
    problems: () =>
      relay.hasDatabase ? [] : ['The database cannot be used at present: see the log, or imsync doctor.'],
    close() {
      clearInterval(timer);
      return relay.close();
    },
  };
}
