import { drawBars } from './bars.ts';
import type { Chart } from './chart.ts';
import { drawCurves } from './curves.ts';
import { drawStrips } from './strips.ts';

/** The SVG text of a chart. */
export function draw(chart: Chart): string {
  switch (chart.kind) {
    case 'strips':
      return drawStrips(chart);
    case 'bars':
      return drawBars(chart);
    case 'curves':
      return drawCurves(chart);
  }
}
