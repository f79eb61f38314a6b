import { drawBars } from '../../../bench/report/bars.ts';
import type { BarChart, Chart, CurveChart, StripChart } from '../../../bench/report/chart.ts';
import { draw } from '../../../bench/report/draw.ts';
import { benchmarksMarkdown } from '../../../bench/report/markdown.ts';
import {
  type BenchResult,
  figure,
  type Row,
  spreadText,
  targetText,
  verdictOn,
} from '../../../bench/report/row.ts';
import { markdownRows, summary, terminalTable } from '../../../bench/report/table.ts';
import { createFigures } from '../../../bench/stage/figures.ts';

const spread = (min: number, median: number, max: number) => ({ median, min, max, runs: 3 });
const row = (more: Partial<Row> = {}): Row => ({
  what: 'calls',
  who: 'imsync',
  unit: 'calls/s',
  spread: spread(97, 98.6, 99),
  ...more,
});
const result = (more: Partial<BenchResult> = {}): BenchResult => ({
  name: 'quota',
  about: 'the quota',
  at: '2026-01-02T03:04:05Z',
  machine: 'a machine',
  quick: false,
  seconds: 1,
  rows: [row({ target: { atLeast: 98.5 } })],
  charts: [],
  problems: [],
  ...more,
});

describe('figures', () => {
  test('three digits that count', () => {
    expect([0, 7, 0.0123, 0.25, 9.876, 98.64, 1234.5, 1_234_567].map(figure)).toEqual([
      '0',
      '7',
      '0.012',
      '0.25',
      '9.88',
      '98.6',
      '1,235',
      '1,234,567',
    ]);
  });

  test('a spread that cannot be seen is not shown', () => {
    expect(spreadText(spread(1, 2, 3))).toBe('2 (1…3)');
    expect(spreadText(spread(98.61, 98.62, 98.63))).toBe('98.6');
  });

  test('a target is met by the middle run, or by the worst', () => {
    expect(verdictOn(row())).toBe('');
    expect(verdictOn(row({ target: { aim: 1 } }))).toBe('');
    expect(verdictOn(row({ target: { atLeast: 98.5 } }))).toBe('pass');
    expect(verdictOn(row({ target: { atLeast: 98.5, by: 'worst' } }))).toBe('short');
    expect(verdictOn(row({ target: { atMost: 98.9 } }))).toBe('pass');
    expect(verdictOn(row({ target: { atMost: 98.9, by: 'worst' } }))).toBe('short');
    expect(targetText({ atMost: 100, aim: 10 })).toBe('≤ 100, aim 10');
  });

  test('runs of one figure become one row, each side apart', () => {
    const figures = createFigures();
    figures.add({ what: 'rate', unit: 'a second' }, 3);
    figures.add({ what: 'rate', who: 'a peer', unit: 'a second' }, 1);
    figures.add({ what: 'rate', unit: 'a second' }, 5);
    expect(figures.rows()).toMatchObject([
      { who: 'imsync', spread: { median: 4, min: 3, max: 5, runs: 2 } },
      { who: 'a peer', spread: { median: 1, runs: 1 } },
    ]);
    expect(figures.values('rate', 'a peer')).toEqual([1]);
    expect(figures.values('nobody measured this')).toEqual([]);
  });
});

describe('tables', () => {
  test('a terminal shows the columns under each other', () => {
    const [head = '', line = ''] = terminalTable([row({ target: { atLeast: 98.5 } })]).split('\n');
    expect(line).toBe('calls  imsync  98.6 (97…99)      calls/s  ≥ 98.5  pass');
    expect(head.indexOf('unit')).toBe(line.indexOf('calls/s'));
  });

  test('Markdown keeps a bar in a cell', () => {
    expect(markdownRows([row({ what: 'a|b', note: 'noted' })])).toContain(
      '| a\\|b | imsync | 98.6 (97…99) |',
    );
  });

  test('the summary counts targets and names what failed', () => {
    expect(summary([result()])).toBe('1 targets reached, 0 short');
    expect(summary([result({ problems: ['lost one'] })])).toBe('1 targets reached, 0 short; FAILED: quota');
  });

  test('the document says when, on what, and what failed', () => {
    const text = benchmarksMarkdown([
      result({ charts: [bars], problems: ['3 users have no account'] }),
      result({ name: 'idle', quick: true }),
    ]);
    expect(text).toContain('Machine: a machine.');
    expect(text).toContain('![Bars](img/bars.svg)');
    expect(text).toContain('- **Failed:** 3 users have no account');
    expect(text).toContain('## idle\n\nThe quota. Measured 2026-01-02T03:04:05Z, in the quick form');
  });
});

const bars: BarChart = {
  kind: 'bars',
  file: 'bars.svg',
  title: 'Bars',
  about: 'a < b',
  groups: [
    {
      label: 'Rate',
      unit: 'a second',
      bars: [
        { label: 'ours', value: 100, ours: true },
        { label: 'theirs', value: 25, ours: false },
      ],
    },
  ],
};
const strips: StripChart = {
  kind: 'strips',
  file: 'strips.svg',
  title: 'Strips',
  about: '',
  binMs: 10,
  strips: [
    { label: 'ours', detail: '', counts: [1, 0, 1, 0] },
    { label: 'theirs', detail: '', counts: [0, 0, 0, 0] },
  ],
};
const curves: CurveChart = {
  kind: 'curves',
  file: 'curves.svg',
  title: 'Curves',
  about: '',
  xLabel: 'x',
  yLabel: 'y',
  curves: [
    {
      label: 'p50',
      dashed: false,
      points: [
        { x: 1, y: 2 },
        { x: 1000, y: 0 },
      ],
    },
    { label: 'bound', dashed: true, points: [{ x: 1, y: 200 }] },
  ],
};

describe('charts', () => {
  test.each<Chart>([bars, strips, curves])('$kind is SVG without a figure that is none', (chart) => {
    const svg = draw(chart);
    expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    expect(svg).toContain(`<title id="t">${chart.title}</title>`);
    expect(svg).toContain('prefers-color-scheme: dark');
    expect(svg.match(/<(rect|line|text|circle|polyline)\b/g)?.length).toBeGreaterThan(3);
  });

  test('bars are as long as their values', () => {
    const widths = [...drawBars(bars).matchAll(/class="(ours|peer)"[^>]* width="([\d.]+)"/g)].map(
      ([, kind, width]) => [kind, Number(width)],
    );
    expect(widths).toEqual([
      ['ours', 500],
      ['peer', 125],
    ]);
  });

  test('words are no markup', () => {
    expect(drawBars(bars)).toContain('a &lt; b');
  });

  test('of counts, each bin that has one is drawn', () => {
    expect(draw(strips).match(/class="ours"/g)).toHaveLength(2);
    expect(draw(strips).match(/class="peer"/g)).toBeNull();
  });

  test('labels of curves that end together do not cover each other', () => {
    const together = ['a', 'b', 'c'].map((label) => ({ label, dashed: false, points: [{ x: 1, y: 5 }] }));
    const svg = draw({ ...curves, curves: together });
    const heights = [...svg.matchAll(/ y="([\d.]+)"[^>]*>[abc]</g)].map(([, y]) => Number(y));
    expect(heights).toHaveLength(3);
    const [first = 0, second = 0, third = 0] = heights;
    expect(second - first).toBeGreaterThanOrEqual(12);
    expect(third - second).toBeGreaterThanOrEqual(12);
  });
});
