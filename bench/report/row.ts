import type { Spread } from '../measure/spread.ts';
import type { Chart } from './chart.ts';

/** What a figure is held against. `by` says which of the runs counts: the middle one, or the worst. */
export interface Target {
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly by?: 'median' | 'worst';
  /** A hope beside the target, which nobody is held to. */
  readonly aim?: number;
}

/** One figure. `who`: us, or the peer that was measured in the same run. */
export interface Row {
  readonly what: string;
  readonly who: string;
  readonly unit: string;
  readonly spread: Spread;
  readonly target?: Target;
  readonly note?: string;
}

/** What one benchmark came to. */
export interface BenchResult {
  readonly name: string;
  readonly about: string;
  /** ISO 8601, UTC, by the second. */
  readonly at: string;
  readonly machine: string;
  readonly quick: boolean;
  readonly seconds: number;
  readonly rows: readonly Row[];
  readonly charts: readonly Chart[];
  /** What was not delivered exactly, or not measured: the benchmark failed, whatever its figures. */
  readonly problems: readonly string[];
}

export type RowVerdict = 'pass' | 'short' | '';

export const US = 'imsync';

export function verdictOn({ spread, target }: Pick<Row, 'spread' | 'target'>): RowVerdict {
  if (target?.atLeast === undefined && target?.atMost === undefined) return '';
  const { atLeast, atMost, by = 'median' } = target;
  const low = by === 'worst' ? spread.min : spread.median;
  const high = by === 'worst' ? spread.max : spread.median;
  const reached = (atLeast === undefined || low >= atLeast) && (atMost === undefined || high <= atMost);
  return reached ? 'pass' : 'short';
}

export function targetText(target: Target | undefined): string {
  if (target === undefined) return '';
  const { atLeast, atMost, aim } = target;
  const bounds = [
    ...(atLeast === undefined ? [] : [`≥ ${figure(atLeast)}`]),
    ...(atMost === undefined ? [] : [`≤ ${figure(atMost)}`]),
    ...(aim === undefined ? [] : [`aim ${figure(aim)}`]),
  ];
  return bounds.join(', ');
}

/** Three digits that count, thousands apart. */
export function figure(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
  const [whole = '', fraction] = value.toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** `median (min…max)`; the bare figure where the runs agree or there was one. */
export function spreadText({ median, min, max }: Spread): string {
  const bounds = [figure(min), figure(max)];
  return bounds.every((bound) => bound === figure(median))
    ? figure(median)
    : `${figure(median)} (${bounds.join('…')})`;
}
