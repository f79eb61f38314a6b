/** Samples of a text in Prometheus' exposition format. */
export interface ReadMetrics {
  /** The one sample with exactly these labels; undefined if there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
  /** Values of a metric added up by one of its labels. */
  byLabel(name: string, label: string): Record<string, number>;
  readonly names: ReadonlySet<string>;
}

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Throws on a line that is no sample: the text must be fit for a scraper. */
export function parseMetrics(text: string): ReadMetrics {
  const samples = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(readSample);
  return {
    value: (name, labels = {}) =>
      samples.find((sample) => sample.name === name && sameLabels(sample.labels, labels))?.value,
    byLabel(name, label) {
      const sums: Record<string, number> = {};
      for (const sample of samples.filter((one) => one.name === name)) {
        const key = sample.labels[label] ?? '';
        sums[key] = (sums[key] ?? 0) + sample.value;
      }
      return sums;
    },
    names: new Set(samples.map(({ name }) => name)),
  };
}

function readSample(line: string): Sample {
  const parts = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  const value = Number(parts?.[3]?.replace('Inf', 'Infinity').replace('Nan', 'NaN'));
  if (parts === null || (Number.isNaN(value) && parts[3] !== 'Nan')) throw new Error(`no sample: ${line}`);
  const pairs = [...(parts[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
  return { name: parts[1] ?? '', labels: Object.fromEntries(pairs.map(([, k, v]) => [k, v])), value };
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
