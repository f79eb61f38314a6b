import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Makes metrics of one registry: name, help, names of labels; a histogram has its buckets before those. */
export function metricsOf(registry: Registry) {
  const registers = [registry];
  return {
    counter: <T extends string>(name: string, help: string, labelNames: readonly T[] = []) =>
      new Counter({ name, help, labelNames, registers }),
    gauge: <T extends string>(name: string, help: string, labelNames: readonly T[] = []) =>
      new Gauge({ name, help, labelNames, registers }),
    histogram: <T extends string>(
      name: string,
      help: string,
      buckets: number[],
      labelNames: readonly T[] = [],
    ) => new Histogram({ name, help, buckets, labelNames, registers }),
  };
}
