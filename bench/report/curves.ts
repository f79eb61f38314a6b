import type { CurveChart } from './chart.ts';
import { figure } from './row.ts';
import { document, dot, line, polyline, text } from './svg.ts';

const WIDTH = 860;
const HEIGHT = 420;
const FRAME = { left: 66, right: 130, top: 70, bottom: 56 };

/** Lines over two logarithmic axes. */
export function drawCurves(chart: CurveChart): string {
  const points = chart.curves.flatMap((curve) => curve.points);
  const x = logScale(
    points.map((point) => point.x),
    FRAME.left,
    WIDTH - FRAME.right,
  );
  const y = logScale(
    points.map((point) => point.y),
    HEIGHT - FRAME.bottom,
    FRAME.top,
  );
  const xs = [...new Set(points.map((point) => point.x))].sort((a, b) => a - b);
  const grid = decades(points.map((point) => point.y)).flatMap((value) => [
    line('axis', FRAME.left, y(value), WIDTH - FRAME.right, y(value)),
    text(FRAME.left - 8, y(value) + 4, figure(value), { kind: 'quiet', anchor: 'end' }),
  ]);
  const ticks = xs.map((value) =>
    text(x(value), HEIGHT - FRAME.bottom + 20, figure(value), { kind: 'quiet', anchor: 'middle' }),
  );
  const names = [
    text((FRAME.left + WIDTH - FRAME.right) / 2, HEIGHT - 14, chart.xLabel, {
      kind: 'quiet',
      anchor: 'middle',
    }),
    text(16, FRAME.top - 8, chart.yLabel, { kind: 'quiet' }),
  ];
  const lines = chart.curves.flatMap(({ label, dashed, points: own }, i) => {
    const placed = own.map((point) => ({ x: x(point.x), y: y(point.y) }));
    const last = placed.at(-1);
    return [
      polyline(`line c${i % 3}${dashed ? ' dashed' : ''}`, placed),
      ...(dashed ? [] : placed.map((point) => dot(`c${i % 3}`, point.x, point.y))),
      ...(last === undefined ? [] : [text(last.x + 10, last.y + 4, label)]),
    ];
  });
  return document(WIDTH, HEIGHT, chart.title, chart.about, [...grid, ...ticks, ...names, ...lines]);
}

function logScale(values: readonly number[], from: number, to: number): (value: number) => number {
  const positive = values.filter((value) => value > 0);
  const low = Math.log10(Math.min(...positive));
  const span = Math.log10(Math.max(...positive)) - low || 1;
  return (value) => from + ((to - from) * (Math.log10(Math.max(value, 10 ** low)) - low)) / span;
}

/** 1, 10, 100 … within the values. */
function decades(values: readonly number[]): number[] {
  const positive = values.filter((value) => value > 0);
  const first = Math.ceil(Math.log10(Math.min(...positive)));
  const last = Math.floor(Math.log10(Math.max(...positive)));
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => 10 ** (first + i));
}
