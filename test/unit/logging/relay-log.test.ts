import { pino } from 'pino';
import { Registry } from 'prom-client';
import { createRelayReport } from '../../../src/logging/relay-log.ts';
import { createRelayMetrics } from '../../../src/relay/metrics.ts';

const relay = () => {
  const registry = new Registry();
  const made = createRelayReport(pino({ level: 'silent' }), createRelayMetrics(registry));
  const oldest = async (): Promise<number> => {
    const metric = await registry.getSingleMetric('imsync_relay_oldest_row_seconds')?.get();
    return Number(metric?.values[0]?.value);
  };
  return { ...made, oldest };
};

test('while nothing moves the age of the oldest row grows; that of a relay that stands by does not', async () => {
  const { report, tick, oldest } = relay();
  report.leads(true);
  report.lag(5, 10_000);
  expect(await oldest()).toBe(10);
  tick();
  expect(await oldest()).toBeGreaterThan(10);
  // Its session ended, and it does not know yet whether another one works: rows wait.
  report.database('lost', 'gone');
  tick();
  expect(await oldest()).toBeGreaterThan(10);
  report.leads(false);
  tick();
  expect(await oldest()).toBe(0);
});
