import type { Registry } from 'prom-client';
import { createIntakeMetrics } from '../src/http-intake/request-report.ts';
import { createNoticeMetrics } from '../src/notices/metrics.ts';
import { createFleetMetrics } from '../src/ops/fleet-metrics.ts';
import { createProcessMetrics } from '../src/ops/process-metrics.ts';
import { createRelayMetrics } from '../src/relay/metrics.ts';

/** docs/metrics.md, made from the registries that a worker serves. */

/** What prom-client keeps of a metric, beyond its public type. */
interface Registered {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames?: readonly string[];
  readonly upperBounds?: readonly number[];
}

const INTRO = `# Metrics

Every metric of \`GET /metrics\`, made from the code by \`npm run docs\`. What to make of them, and alerts: [operations.md](operations.md).
Label values come from fixed lists: no user, address or text of the API is ever a label. Node's own metrics (\`process_*\`, \`nodejs_*\`) are
those of prom-client.

Grafana's dashboard and the alerts use these names. A name or a label does not change within a major version.
`;

export function metricsMarkdown(): string {
  const { registry } = createProcessMetrics('0', ['multiaccount_import', 'account_import'], () => 0);
  createIntakeMetrics(registry);
  createNoticeMetrics(registry);
  createRelayMetrics(registry);
  return [
    INTRO,
    '## One process\n\nAdd them up over the workers with `sum`.\n',
    table(registry),
    '\n## The whole fleet\n\nEqual on every worker: aggregate with `max`, never with `sum`.\n',
    table(createFleetMetrics().registry),
    '',
  ].join('\n');
}

function table(registry: Registry): string {
  const metrics = (registry.getMetricsAsArray() as unknown as Registered[]).filter(({ name }) =>
    name.startsWith('imsync_'),
  );
  const rows = metrics.map(({ name, type, labelNames = [], help, upperBounds }) => {
    const labels = labelNames.filter((label) => label !== 'le').map((label) => `\`${label}\``);
    const buckets = upperBounds === undefined ? '' : ` Buckets: ${upperBounds.join(', ')}.`;
    const sentence = /[.!?]$/.test(help) ? help : `${help}.`;
    return `| \`${name}\` | ${type} | ${labels.join(', ')} | ${(sentence + buckets).replaceAll('|', '\\|')} |`;
  });
  return ['| metric | type | labels | meaning |', '|---|---|---|---|', ...rows].join('\n');
}
