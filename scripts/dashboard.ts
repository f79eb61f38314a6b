/**
 * The Grafana dashboard as code: questions in the order in which somebody on call asks them. `npm run docs` writes
 * deploy/grafana/imsync.json. Fleet-wide metrics are the same on every worker: `max`, never `sum`.
 */
interface Panel {
  readonly title: string;
  readonly kind: 'stat' | 'timeseries';
  /** Legend and PromQL. */
  readonly queries: Readonly<Record<string, string>>;
  readonly unit?: string;
  readonly width?: number;
  readonly description?: string;
  /** Value from which on it is red. */
  readonly redFrom?: number;
}

/** Chosen above the dashboard: one app's scrape job, and its workers. */
const OF = 'job=~"$job",instance=~"$instance"';
const fleet = (metric: string, by = ''): string => `max${by && ` by (${by})`} (${metric}{job=~"$job"})`;
const rate = (metric: string, by = '', more = ''): string =>
  `sum${by && ` by (${by})`} (rate(${metric}{${OF}${more && `,${more}`}}[$__rate_interval]))`;
const quantile = (q: number, metric: string): string =>
  `histogram_quantile(${q}, sum by (le) (rate(${metric}_bucket{${OF}}[$__rate_interval])))`;

export const rows: Readonly<Record<string, readonly Panel[]>> = {
  'Is it well?': [
    {
      title: 'Held',
      kind: 'stat',
      queries: { held: fleet('imsync_held') },
      redFrom: 1,
      width: 4,
      description: 'docs/runbook.md#holds',
    },
    {
      title: 'Oldest waiting',
      kind: 'stat',
      unit: 's',
      queries: { age: fleet('imsync_oldest_waiting_seconds') },
      redFrom: 60,
      width: 4,
    },
    {
      title: 'Oldest unfinished',
      kind: 'stat',
      unit: 's',
      queries: { age: fleet('imsync_oldest_unfinished_seconds') },
      redFrom: 3_600,
      width: 4,
    },
    {
      title: 'Dead letters',
      kind: 'stat',
      queries: { letters: `sum(${fleet('imsync_dead_letters', 'reason')})` },
      redFrom: 1,
      width: 4,
    },
    { title: 'Workers', kind: 'stat', queries: { workers: fleet('imsync_workers') }, width: 4 },
    {
      title: 'Unaccounted events',
      kind: 'stat',
      queries: { events: `max(abs(imsync_unaccounted_events{job=~"$job"}))` },
      redFrom: 1,
      width: 4,
      description: 'Anything but 0 is a bug.',
    },
    {
      title: 'Events ended, a second',
      kind: 'timeseries',
      queries: { '{{outcome}}': rate('imsync_events_total', 'outcome') },
      width: 12,
    },
    {
      title: 'Waiting',
      kind: 'timeseries',
      queries: { 'in the intake': fleet('imsync_waiting_events'), parked: fleet('imsync_parked_events') },
      width: 12,
    },
  ],
  'Why not?': [
    {
      title: 'Holds and pauses',
      kind: 'timeseries',
      queries: { '{{kind}}': fleet('imsync_held', 'kind'), paused: fleet('imsync_paused') },
      width: 8,
    },
    {
      title: 'Answers by code, a second',
      kind: 'timeseries',
      queries: { '{{error_code}}': rate('imsync_api_calls_total', 'error_code') },
      width: 8,
      description: 'docs/answers.md',
    },
    {
      title: 'Suspected calls',
      kind: 'timeseries',
      queries: { calls: fleet('imsync_suspected_calls') },
      width: 8,
      description: 'Users who fail while others pass; imsync status names them.',
    },
    {
      title: 'Throttles a minute',
      kind: 'timeseries',
      queries: { '{{command}}': `60 * ${rate('imsync_throttles_total', 'command')}` },
      width: 8,
    },
    {
      title: 'Redis reached; memory used',
      kind: 'timeseries',
      queries: {
        reached: `min(imsync_redis_reachable{${OF}})`,
        memory: fleet('imsync_redis_memory_used_ratio'),
      },
      width: 8,
    },
    {
      title: 'Runs broken off, calls put back, log lines dropped',
      kind: 'timeseries',
      queries: {
        'runs broken off': rate('imsync_call_runs_failed_total'),
        'calls put back': rate('imsync_calls_put_back_total'),
        'log lines dropped': rate('imsync_log_lines_dropped_total'),
      },
      width: 8,
    },
    {
      title: 'Notices a minute',
      kind: 'timeseries',
      queries: { '{{result}}': `60 * ${rate('imsync_notices_total', 'result')}` },
      width: 8,
      description: 'Only where notices are on. docs/notices.md',
    },
  ],
  'How fast?': [
    {
      title: 'From acceptance to the end of an event',
      kind: 'timeseries',
      unit: 's',
      queries: {
        p50: quantile(0.5, 'imsync_event_latency_seconds'),
        p99: quantile(0.99, 'imsync_event_latency_seconds'),
      },
      width: 8,
    },
    {
      title: 'Calls a second, rate and quota',
      kind: 'timeseries',
      queries: {
        '{{command}}': fleet('imsync_calls_started_last_second', 'command'),
        'rate of {{command}}': fleet('imsync_rate_per_second', 'command'),
        'quota of {{command}}': fleet('imsync_quota_per_second', 'command'),
      },
      width: 8,
    },
    {
      title: 'The API’s answer',
      kind: 'timeseries',
      unit: 's',
      queries: {
        p50: quantile(0.5, 'imsync_api_call_duration_seconds'),
        p99: quantile(0.99, 'imsync_api_call_duration_seconds'),
      },
      width: 8,
    },
    {
      title: 'Users in a call',
      kind: 'timeseries',
      queries: {
        mean: `sum(rate(imsync_call_users_sum{${OF}}[$__rate_interval])) / sum(rate(imsync_call_users_count{${OF}}[$__rate_interval]))`,
      },
      width: 8,
    },
    {
      title: 'Slots missed, a second',
      kind: 'timeseries',
      queries: { '{{instance}}': rate('imsync_slots_given_up_total', 'instance') },
      width: 8,
    },
    {
      title: 'Open calls',
      kind: 'timeseries',
      queries: {
        '{{state}}': `sum by (state) (${fleet('imsync_calls', 'command, state')})`,
        'users in them': `sum(${fleet('imsync_users_in_calls', 'command')})`,
      },
      width: 8,
    },
  ],
  'What died?': [
    {
      title: 'Unresolved dead letters by reason',
      kind: 'timeseries',
      queries: { '{{reason}}': fleet('imsync_dead_letters', 'reason') },
      width: 12,
      description: 'imsync dlq',
    },
    {
      title: 'Age of the oldest',
      kind: 'timeseries',
      unit: 's',
      queries: { age: fleet('imsync_oldest_dead_letter_seconds') },
      width: 6,
    },
    {
      title: 'Resolved by a newer event, a minute',
      kind: 'timeseries',
      queries: { letters: `60 * ${rate('imsync_dead_letters_resolved_total')}` },
      width: 6,
    },
  ],
  'Does the database follow?': [
    {
      title: 'A relay works',
      kind: 'stat',
      queries: { relays: `max(imsync_relay_leads{job=~"$job"})` },
      width: 4,
      description: 'Only where a relay runs: 1 is well. docs/outbox.md',
    },
    {
      title: 'Missing at the last reconcile',
      kind: 'stat',
      queries: { users: fleet('imsync_reconcile_missing_users') },
      redFrom: 1,
      width: 4,
      description: 'docs/runbook.md#imsyncreconcilemissing',
    },
    {
      title: 'Rows that wait, and the age of the oldest',
      kind: 'timeseries',
      queries: {
        rows: fleet('imsync_relay_waiting_rows'),
        'seconds of the oldest': fleet('imsync_relay_oldest_row_seconds'),
      },
      width: 8,
    },
    {
      title: 'Rows a second',
      kind: 'timeseries',
      queries: { '{{result}}': rate('imsync_relay_rows_total', 'result') },
      width: 8,
      description: 'aside: they could not be events. repeated: they came back after they were done.',
    },
  ],
  'What does it cost?': [
    {
      title: 'CPU of each worker',
      kind: 'timeseries',
      unit: 'percentunit',
      queries: { '{{instance}}': rate('process_cpu_seconds_total', 'instance') },
      width: 8,
    },
    {
      title: 'Memory of each worker',
      kind: 'timeseries',
      unit: 'bytes',
      queries: { '{{instance}}': `max by (instance) (process_resident_memory_bytes{${OF}})` },
      width: 8,
    },
    {
      title: 'Event loop lag, p99',
      kind: 'timeseries',
      unit: 's',
      queries: { '{{instance}}': `max by (instance) (nodejs_eventloop_lag_p99_seconds{${OF}})` },
      width: 8,
    },
  ],
};

/** Every query, for the test that has a real Prometheus answer each. */
export const queries = Object.values(rows).flatMap((panels) =>
  panels.flatMap((panel) => Object.values(panel.queries)),
);

const COLUMNS = 24;
const HEIGHTS = { stat: 4, timeseries: 8 };
const SOURCE = { type: 'prometheus', uid: '$source' };

export function dashboard(): string {
  let [x, y, id] = [0, 0, 1];
  const panels: unknown[] = [];
  for (const [title, inRow] of Object.entries(rows)) {
    panels.push({
      id: id++,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y: y++, w: COLUMNS, h: 1 },
    });
    x = 0;
    let tallest = 0;
    for (const panel of inRow) {
      const width = panel.width ?? 8;
      if (x + width > COLUMNS) [x, y, tallest] = [0, y + tallest, 0];
      panels.push(panelOf(panel, id++, { x, y, w: width, h: HEIGHTS[panel.kind] }));
      x += width;
      tallest = Math.max(tallest, HEIGHTS[panel.kind]);
    }
    y += tallest;
  }
  return `${JSON.stringify(
    {
      uid: 'imsync',
      title: 'im-account-sync',
      description: 'Made by `npm run docs` from scripts/dashboard.ts; do not edit.',
      tags: ['imsync'],
      schemaVersion: 39,
      editable: true,
      refresh: '10s',
      time: { from: 'now-3h', to: 'now' },
      templating: { list: variables() },
      annotations: {
        list: [
          {
            name: 'held',
            enable: true,
            iconColor: 'red',
            datasource: SOURCE,
            expr: 'max by (kind) (imsync_held{job=~"$job"}) == 1',
            step: '15s',
            titleFormat: 'held: {{kind}}',
          },
          {
            name: 'paused',
            enable: true,
            iconColor: 'orange',
            datasource: SOURCE,
            expr: 'max(imsync_paused{job=~"$job"}) == 1',
            step: '15s',
            titleFormat: 'paused',
          },
        ],
      },
      links: [
        { type: 'link', title: 'Console', url: '$console', targetBlank: true },
        { type: 'link', title: 'Runbook', url: 'docs/runbook.md', targetBlank: true },
      ],
      panels,
    },
    null,
    2,
  )}\n`;
}

function variables(): unknown[] {
  const chosen = (name: string, label: string, query: string) => ({
    ...{ type: 'query', name, label, datasource: SOURCE, query, refresh: 2 },
  });
  const all = { includeAll: true, multi: true, current: { text: 'All', value: '$__all' } };
  return [
    { type: 'datasource', name: 'source', label: 'Prometheus', query: 'prometheus' },
    // Where a browser reaches the console (IMSYNC_CONSOLE_PORT).
    { type: 'textbox', name: 'console', label: 'Console', query: 'http://127.0.0.1:9470' },
    // One at a time: the largest value over two apps is that of neither.
    chosen('job', 'App (scrape job)', 'label_values(imsync_build_info, job)'),
    { ...chosen('instance', 'Worker', 'label_values(imsync_build_info{job=~"$job"}, instance)'), ...all },
  ];
}

function panelOf(panel: Panel, id: number, gridPos: unknown): unknown {
  const { title, kind, unit = 'short', description, redFrom } = panel;
  const steps = [
    { color: 'green', value: null },
    ...(redFrom === undefined ? [] : [{ color: 'red', value: redFrom }]),
  ];
  return {
    ...{ id, title, type: kind, gridPos, datasource: SOURCE, ...(description && { description }) },
    fieldConfig: { defaults: { unit, min: 0, thresholds: { mode: 'absolute', steps } }, overrides: [] },
    options: kind === 'stat' ? { colorMode: 'background', reduceOptions: { calcs: ['lastNotNull'] } } : {},
    targets: Object.entries(panel.queries).map(([legendFormat, expr], i) => ({
      ...{ refId: String.fromCharCode(65 + i), datasource: SOURCE, expr, legendFormat },
    })),
  };
}
