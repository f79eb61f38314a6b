import { readFileSync } from 'node:fs';
import { metricsMarkdown } from '../../../scripts/metrics-page.ts';
import { createIntakeMetrics } from '../../../src/http-intake/request-report.ts';
import { createNoticeMetrics } from '../../../src/notices/metrics.ts';
import { createFleetMetrics } from '../../../src/ops/fleet-metrics.ts';
import { createProcessMetrics } from '../../../src/ops/process-metrics.ts';
import { createRelayMetrics } from '../../../src/relay/metrics.ts';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const own = (names: readonly { readonly name: string }[]): string[] =>
  names.map(({ name }) => name).filter((name) => name.startsWith('imsync_'));

describe('names of metrics', () => {
  const { registry } = createProcessMetrics('0', ['account_import'], () => 0);
  createIntakeMetrics(registry);
  createNoticeMetrics(registry);
  createRelayMetrics(registry);
  const known = new Set([
    ...own(registry.getMetricsAsArray()),
    ...own(createFleetMetrics().registry.getMetricsAsArray()),
  ]);
  const namedIn = (path: string): Set<string> => new Set(read(path).match(/\bimsync_[a-z_]+/g));

  it('are all explained in the documents, and no others are', () => {
    expect([...namedIn('docs/operations.md')].sort()).toEqual([...known].sort());
  });

  it('are listed in docs/metrics.md as `npm run docs` writes it', () => {
    expect(read('docs/metrics.md')).toBe(metricsMarkdown());
  });

  it('exist when the alerts name them', () => {
    const named = [...namedIn('deploy/prometheus-alerts.yml')].map((name) =>
      name.replace(/_(bucket|count|sum)$/, ''),
    );
    const unknown = named.filter((name) => !known.has(name));
    expect(unknown).toEqual([]);
  });
});
