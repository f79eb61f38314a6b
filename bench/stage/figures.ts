import { spreadOf } from '../measure/spread.ts';
import { type Row, type Target, US } from '../report/row.ts';

type Label = Pick<Row, 'what' | 'unit'> & {
  readonly who?: string;
  readonly target?: Target;
  readonly note?: string;
};

/** Collects what the runs measured and makes a row of each figure, in the order in which they first came. */
export interface Figures {
  add(label: Label, value: number): void;
  /** Of one figure of one side, in the order of the runs. */
  values(what: string, who?: string): readonly number[];
  rows(): Row[];
}

export function createFigures(): Figures {
  const collected = new Map<string, { readonly label: Label; readonly values: number[] }>();
  const keyOf = (what: string, who: string): string => `${what}\n${who}`;
  return {
    add(label, value) {
      const key = keyOf(label.what, label.who ?? US);
      const known = collected.get(key);
      // A note may say what only the last run can tell.
      if (known === undefined) collected.set(key, { label, values: [value] });
      else collected.set(key, { label, values: [...known.values, value] });
    },
    values: (what, who = US) => collected.get(keyOf(what, who))?.values ?? [],
    rows: () =>
      [...collected.values()].map(({ label, values }) => ({
        ...label,
        who: label.who ?? US,
        spread: spreadOf(values),
      })),
  };
}
