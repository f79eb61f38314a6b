import type { StripChart } from './chart.ts';
import { document, line, rect, text } from './svg.ts';

const WIDTH = 860;
const LEFT = 16;
const STRIP_HEIGHT = 76;
const TOP = 66;

/** Counts over time, one strip below the other, on one scale: what is even and what comes in lumps. */
export function drawStrips(chart: StripChart): string {
  const most = Math.max(1, ...chart.strips.flatMap(({ counts }) => counts));
  const bins = Math.max(1, ...chart.strips.map(({ counts }) => counts.length));
  const binWidth = (WIDTH - 2 * LEFT) / bins;
  const bars = STRIP_HEIGHT - 34;
  const parts = chart.strips.flatMap(({ label, detail, counts }, row) => {
    const top = TOP + row * STRIP_HEIGHT;
    const base = top + 20 + bars;
    return [
      text(LEFT, top + 12, label, {}),
      text(WIDTH - LEFT, top + 12, detail, { kind: 'quiet', anchor: 'end' }),
      ...counts.flatMap((count, i) => {
        if (count === 0) return [];
        // Tall lumps must not hide single calls: at least three pixels each.
        const height = Math.max(3, (bars * count) / most);
        const kind = row === 0 ? 'ours' : 'peer';
        return [rect(kind, LEFT + i * binWidth, base - height, Math.max(0.8, binWidth - 0.4), height)];
      }),
      line('axis', LEFT, base, WIDTH - LEFT, base),
    ];
  });
  const bottom = TOP + chart.strips.length * STRIP_HEIGHT;
  const seconds = (bins * chart.binMs) / 1000;
  const ticks = Array.from({ length: Math.floor(seconds) + 1 }, (_, second) =>
    text(LEFT + (second * 1000 * binWidth) / chart.binMs, bottom + 6, `${second} s`, {
      kind: 'quiet',
      anchor: second === 0 ? 'start' : second === seconds ? 'end' : 'middle',
    }),
  );
  const scale = text(WIDTH - LEFT, bottom + 24, `each bar: ${chart.binMs} ms; the tallest: ${most} calls`, {
    kind: 'quiet',
    anchor: 'end',
  });
  return document(WIDTH, bottom + 36, chart.title, chart.about, [...parts, ...ticks, scale]);
}
