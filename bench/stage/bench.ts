import type { Chart } from '../report/chart.ts';
import type { Row } from '../report/row.ts';

/** How much is measured, and where to say what goes on. */
export interface BenchContext {
  /** How often each figure is measured. */
  readonly runs: number;
  /** Small amounts: shows that it works, proves nothing. */
  readonly quick: boolean;
  /** The largest amounts, too. */
  readonly full: boolean;
  readonly say: (line: string) => void;
  /** Workers write a CPU profile into this folder. */
  readonly profileFolder: string | undefined;
}

export interface Measured {
  readonly rows: readonly Row[];
  readonly charts?: readonly Chart[];
  /** Sentences; [] when everything arrived exactly where it should. */
  readonly problems: readonly string[];
}

/** One row of the table of targets. It cleans up after itself whatever happens. */
export interface Bench {
  readonly name: string;
  readonly about: string;
  /** How often each figure is measured unless somebody says otherwise. */
  readonly runs: number;
  run(context: BenchContext): Promise<Measured>;
}
