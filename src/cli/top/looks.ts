import type { Status } from '../../ops/status.ts';

/** One read of the state. */
export interface Look {
  /** When it was answered, on this process's clock (`performance.now()`). */
  readonly atMs: number;
  /** The same moment on Redis's clock, ms since 1970. */
  readonly redisMs: number;
  readonly status: Status;
}

type Totals = Pick<Status['totals'], 'accepted' | 'imported' | 'deadLettered'>;

interface Point extends Totals {
  readonly atMs: number;
}

const AVERAGE_MS = 5_000;
const MOST_KEPT = 61;

/** The looks of late: rates are the differences of their totals. Pure. */
export class Looks {
  #latest: Look | undefined;
  #points: Point[] = [];

  add(look: Look): void {
    const { accepted, imported, deadLettered } = look.status.totals;
    const last = this.#points.at(-1);
    // Redis was emptied, or it is another one.
    if (last !== undefined && (accepted < last.accepted || imported < last.imported)) this.#points = [];
    this.#points = [...this.#points, { atMs: look.atMs, accepted, imported, deadLettered }].slice(-MOST_KEPT);
    this.#latest = look;
  }

  get latest(): Look | undefined {
    return this.#latest;
  }

  /** Per second, averaged over about 5 s; undefined before the second look. */
  rates(): (Totals & { readonly overMs: number }) | undefined {
    const last = this.#points.at(-1);
    const first = this.#points.find(({ atMs }) => last !== undefined && last.atMs - atMs <= AVERAGE_MS * 1.1);
    const before = first === last ? this.#points.at(-2) : first;
    if (last === undefined || before === undefined) return undefined;
    return { ...between(before, last), overMs: last.atMs - before.atMs };
  }

  /** Imported per second between each two looks, oldest first, and the time that they span. */
  imported(): { readonly perSecond: readonly number[]; readonly overMs: number } {
    const points = this.#points;
    const perSecond = points.slice(1).map((point, i) => between(points[i] ?? point, point).imported);
    return { perSecond, overMs: (points.at(-1)?.atMs ?? 0) - (points[0]?.atMs ?? 0) };
  }
}

function between(before: Point, after: Point): Totals {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1_000);
  // A redrive takes dead letters back.
  const rate = (name: keyof Totals): number => Math.max(0, after[name] - before[name]) / seconds;
  return { accepted: rate('accepted'), imported: rate('imported'), deadLettered: rate('deadLettered') };
}
