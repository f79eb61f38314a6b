import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const RESULTS = ['relayed', 'aside', 'repeated', 'undone'] as const;
/** From a commit that woke the relay to rows that waited a day. */
const LATENCY_BUCKETS_S = [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3_600, 86_400];

export type RelayMetrics = ReturnType<typeof createRelayMetrics>;

/** Only where a relay runs. Names are a contract. */
export function createRelayMetrics(registry: Registry) {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const rows = new Counter({
    name: 'imsync_relay_rows_total',
    help: 'Rows of the database: relayed to Redis, moved aside since they cannot be events, repeated after they were done, or undone: the database went back behind them.',
    labelNames: ['result'],
    registers,
  });
  const latency = new Histogram({
    name: 'imsync_relay_latency_seconds',
    help: "From the row's creation to its acknowledgement by Redis, on the database's clock.",
    buckets: LATENCY_BUCKETS_S,
    registers,
  });
  for (const result of RESULTS) rows.inc({ result }, 0);
  return {
    count: (result: (typeof RESULTS)[number], count: number) => rows.inc({ result }, count),
    latency: (ms: number) => latency.observe(Math.max(0, ms) / 1_000),
    waiting: gauge(
      'imsync_relay_waiting_rows',
      'Rows that wait in the database; above 2,000 an estimate by their numbers.',
    ),
    oldest: gauge('imsync_relay_oldest_row_seconds', 'Age of the oldest row that waits; 0 without any.'),
    leads: gauge('imsync_relay_leads', '1 while this process is the relay that works.'),
    database: gauge(
      'imsync_relay_database_reachable',
      'Whether this process has a session with the database.',
    ),
  };
}
