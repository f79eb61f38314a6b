import { type RawEntry, readTally } from '../../event/event.ts';
import type { Ended, TallyCount } from '../../ledger/settle.ts';

/** How an event ended, and whose tally counts it. */
interface Counted {
  readonly tally: string | undefined;
  readonly outcome: Ended;
  /** Of a dead letter. */
  readonly reason?: string;
}

/** What each tally counts of a settlement: few entries, however many events. Pure. */
export function talliesOf(ended: readonly Counted[]): TallyCount[] {
  const counts = new Map<string, TallyCount>();
  const count = (tally: string, name: string): void => {
    const key = `${tally} ${name}`;
    counts.set(key, { tally, name, count: (counts.get(key)?.count ?? 0) + 1 });
  };
  for (const { tally, outcome, reason } of ended) {
    if (tally === undefined) continue;
    count(tally, outcome);
    if (reason !== undefined) count(tally, `dead:${reason}`);
  }
  return [...counts.values()];
}

/** The tally of an entry that does not hold up otherwise. */
export function tallyOf({ fields }: RawEntry): string | undefined {
  const at = fields.findLastIndex((name, i) => i % 2 === 0 && name === 'tally');
  return at < 0 ? undefined : readTally(fields[at + 1]);
}
