/** What a chart shows; how it looks is the business of the drawing (svg.ts, strips.ts, bars.ts, curves.ts). */
export type Chart = StripChart | BarChart | CurveChart;

/** Several rows of counts over time, one below the other on one scale. */
export interface StripChart {
  readonly kind: 'strips';
  readonly file: string;
  readonly title: string;
  readonly about: string;
  readonly binMs: number;
  readonly strips: readonly {
    readonly label: string;
    readonly detail: string;
    readonly counts: readonly number[];
  }[];
}

/** Bars of some groups, each group on a scale of its own. */
export interface BarChart {
  readonly kind: 'bars';
  readonly file: string;
  readonly title: string;
  readonly about: string;
  readonly groups: readonly {
    readonly label: string;
    readonly unit: string;
    readonly bars: readonly { readonly label: string; readonly value: number; readonly ours: boolean }[];
  }[];
}

/** Lines over a logarithmic x axis; y is logarithmic, too. */
export interface CurveChart {
  readonly kind: 'curves';
  readonly file: string;
  readonly title: string;
  readonly about: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly curves: readonly {
    readonly label: string;
    readonly dashed: boolean;
    readonly points: readonly { readonly x: number; readonly y: number }[];
  }[];
}
