import type { Arena, ArenaOptions } from './arena.ts';

/**
 * A row of the chaos matrix: one kind of fault, injected while events flow, and what must hold all the same.
 * What holds for every row (nothing lost, no profile stale, nobody dead-lettered who need not be, the books at
 * every sample, the quota) is checked by the harness; a row says only what is special.
 */
export interface Row {
  /** Letters, digits and dashes; what `npm run chaos -- NAME` takes. */
  readonly name: string;
  /** What is done, and what must hold, in a sentence. */
  readonly promise: string;
  /** Part of `npm test`, in a short form. */
  readonly short?: true;
  readonly arena?: ArenaOptions;
  /** Why the row cannot be run on this machine; undefined where it can. */
  readonly cannotRun?: () => string | undefined;
  /**
   * Injects faults and heals them; returns when the fault is over and whatever the row measures is measured. The
   * harness then stops the flow of events, waits until all have ended and checks the rest.
   */
  run(arena: Arena): Promise<void>;
}

/** What came of a row. */
export interface RowResult {
  readonly name: string;
  readonly events: number;
  /** Events that Redis acknowledged and that have no end. */
  readonly lost: number;
  /** Imports at the API beyond one an event: harmless, but counted. */
  readonly repeated: number;
  /** Worst of what the row measured, by what it is called, in seconds. */
  readonly seconds: ReadonlyMap<string, number>;
  readonly notes: readonly string[];
  /** Promises that broke, each a sentence; [] when all held. */
  readonly problems: readonly string[];
  /** Why it was not run: nothing is known of what it promises. */
  readonly notRun?: string;
  readonly tookMs: number;
}
