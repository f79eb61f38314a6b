import type { BarChart } from './chart.ts';
import { figure } from './row.ts';
import { document, rect, text } from './svg.ts';

const WIDTH = 860;
const LEFT = 250;
const RIGHT = 110;
const BAR = 18;
const TOP = 66;

/** Bars by group, each group on its own scale, since calls a second and bytes have none in common. */
export function drawBars(chart: BarChart): string {
  const parts: string[] = [];
  let y = TOP;
  for (const { label, unit, bars } of chart.groups) {
    parts.push(text(16, y + 12, `${label}, ${unit}`));
    y += 22;
    const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
    for (const bar of bars) {
      const width = ((WIDTH - LEFT - RIGHT) * bar.value) / most;
      parts.push(
        text(LEFT - 8, y + 13, bar.label, { kind: 'quiet', anchor: 'end' }),
        rect(bar.ours ? 'ours' : 'peer', LEFT, y, Math.max(1, width), BAR - 3),
        text(LEFT + width + 6, y + 13, figure(bar.value)),
      );
      y += BAR + 2;
    }
    y += 12;
  }
  return document(WIDTH, y + 4, chart.title, chart.about, parts);
}
