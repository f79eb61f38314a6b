import type { CurveChart } from './chart.ts';
import { figure } from './row.ts';
import { document, dot, line, polyline, text } from './svg.ts';

const WIDTH = 860;
const HEIGHT = 420;
const FRAME = { left: 66, right: 130, top: 84, bottom: 56 };
const LABEL_HEIGHT = 15;

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
  const lines = chart.curves.flatMap(({ dashed, points: own }, i) => {
    const placed = own.map((point) => ({ x: x(point.x), y: y(point.y) }));
    return [
      polyline(`line c${i % 3}${dashed ? ' dashed' : ''}`, placed),
      ...(dashed ? [] : placed.map((point) => dot(`c${i % 3}`, point.x, point.y))),
    ];
  });
  const ends = chart.curves.map(({ label, points: own }) => ({ label, y: y(own.at(-1)?.y ?? 0) }));
  const labels = apart(ends).map((end) => text(WIDTH - FRAME.right + 10, end.y + 4, end.label));
  return document(WIDTH, HEIGHT, chart.title, chart.about, [
    ...grid,
    ...ticks,
    ...names,
    ...lines,
    ...labels,
  ]);
}

/** Moves labels down until none covers another. */
function apart<T extends { readonly y: number }>(labels: readonly T[]): T[] {
  let free = Number.NEGATIVE_INFINITY;
  return [...labels]
    .sort((a, b) => a.y - b.y)
    .map((label) => {
      const y = Math.max(label.y, free);
      free = y + LABEL_HEIGHT;
      return { ...label, y };
    });
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
