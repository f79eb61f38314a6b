import {
  type FeedBatch,
  type FeedRecord,
  type FeedRequest,
  isWanted,
  LEASE_MS,
  type Wanted,
} from './record.ts';

/** Records that one watcher gets of one process in a second, of each kind; the rest is counted. */
export const MOST_PER_SECOND = 500;
/** Records that wait for Redis. One that takes none costs no more memory than this. */
const MOST_WAITING = 2 * MOST_PER_SECOND;
/** More watchers of an app than this are not served. */
export const MOST_WATCHERS = 8;

interface Watcher {
  wanted: Wanted;
  untilMs: number;
  /** A batch is due, an empty one too: the watcher has just asked whether this process is there. */
  isDue: boolean;
  records: FeedRecord[];
  leftOut: number;
  second: number;
  sent: Record<FeedRecord['kind'], number>;
}

/** What waits for a watcher. */
export type Waiting = Pick<FeedBatch, 'leftOut' | 'records'> & { readonly watcher: string };

/** Who watches this process, and what waits for them. Pure: takes the time in ms as an argument. */
export class Watchers {
  readonly #watchers = new Map<string, Watcher>();

  get isEmpty(): boolean {
    return this.#watchers.size === 0;
  }

  heard({ watcher: id, wanted }: FeedRequest, nowMs: number): void {
    const known = this.#watchers.get(id);
    if (wanted === null) this.#watchers.delete(id);
    else if (known !== undefined || this.#watchers.size < MOST_WATCHERS)
      this.#watchers.set(id, {
        ...{ records: [], leftOut: 0, second: 0, sent: { call: 0, outcome: 0 } },
        ...known,
        ...{ wanted, untilMs: nowMs + LEASE_MS, isDue: true },
      });
  }

  /** `users`: those whom the record is about. */
  add(record: FeedRecord, users: readonly string[], nowMs: number): void {
    const second = Math.floor(nowMs / 1_000);
    for (const watcher of this.#watchers.values()) {
      if (!isWanted(watcher.wanted, record, users)) continue;
      if (watcher.second !== second) Object.assign(watcher, { second, sent: { call: 0, outcome: 0 } });
      watcher.sent[record.kind] += 1;
      if (watcher.sent[record.kind] > MOST_PER_SECOND || watcher.records.length >= MOST_WAITING)
        watcher.leftOut += 1;
      else watcher.records.push(record);
    }
  }

  /** Takes what waits. Watchers who have not asked in time are forgotten. */
  take(nowMs: number): Waiting[] {
    for (const [id, { untilMs }] of this.#watchers) if (nowMs > untilMs) this.#watchers.delete(id);
    const due = [...this.#watchers].filter(
      ([, { isDue, records, leftOut }]) => isDue || records.length + leftOut > 0,
    );
    return due.map(([watcher, waiting]) => {
      const { records, leftOut } = waiting;
      Object.assign(waiting, { records: [], leftOut: 0, isDue: false });
      return { watcher, records, leftOut };
    });
  }

  /** Redis did not take what was taken. */
  lost({ watcher: id, leftOut, records }: Waiting): void {
    const watcher = this.#watchers.get(id);
    if (watcher !== undefined) watcher.leftOut += leftOut + records.length;
  }
}
