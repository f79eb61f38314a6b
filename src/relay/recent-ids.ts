import type { OutboxRow } from './outbox.ts';

/** More than are in doubt at any time; they take some 5 MB. */
const KEPT = 50_000;

type NumberedRow = Pick<OutboxRow, 'id' | 'createdAtMs'>;

/**
 * The rows that were done last, to notice those that come back. A row of a known number and another time is a new
 * one: the database went back to an earlier state and gives its numbers once more.
 */
export class RecentIds {
  readonly #createdAtMs = new Map<string, number>();

  add(rows: readonly NumberedRow[]): void {
    for (const { id, createdAtMs } of rows) this.#createdAtMs.set(id, createdAtMs);
    for (const oldest of this.#createdAtMs.keys()) {
      if (this.#createdAtMs.size <= KEPT) break;
      this.#createdAtMs.delete(oldest);
    }
  }

  /** How many of these rows came back. */
  countOf(rows: readonly NumberedRow[]): number {
    return rows.filter(({ id, createdAtMs }) => this.#createdAtMs.get(id) === createdAtMs).length;
  }

  /** How many numbers the database has taken back, if one of these rows shows that it has. Forgets them. */
  takenBack(rows: readonly NumberedRow[]): number {
    const again = rows.find(({ id, createdAtMs }) => {
      const known = this.#createdAtMs.get(id);
      return known !== undefined && known !== createdAtMs;
    });
    return again === undefined ? 0 : this.forgetAbove(BigInt(again.id) - 1n);
  }

  /** Forgets the numbers above one: the database gives them to other rows now. Answers how many they were. */
  forgetAbove(highest: bigint): number {
    const above = [...this.#createdAtMs.keys()].filter((id) => BigInt(id) > highest);
    for (const id of above) this.#createdAtMs.delete(id);
    return above.length;
  }
}
