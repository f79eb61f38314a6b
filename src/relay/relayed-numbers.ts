import type { OutboxRow } from './outbox.ts';

/** The database went back to an earlier state: it was restored, or failed over to a replica that lagged. */
export interface SetBack {
  /** The highest number of a row that was relayed, and the highest that the database has given, if it tells. */
  readonly relayed?: string;
  readonly given?: string;
  /** How many numbers the database gives once more. */
  readonly rows: number;
}

/**
 * How far rows were relayed, by their numbers. Redis keeps it in the step that adds the events. It bounds no look,
 * since a row of a lower number may commit later. It only tells when the database knows less than it once did.
 */
export class RelayedNumbers {
  readonly #name: string;
  readonly #given: () => Promise<bigint | undefined>;
  #highest = 0n;

  /** `given`: the highest number that the database has given; undefined if it does not tell. */
  constructor(table: string, given: () => Promise<bigint | undefined>) {
    this.#name = `rows:${table}`;
    this.#given = given;
  }

  /** Where Redis keeps it. */
  get name(): string {
    return this.#name;
  }

  /** What Redis is to keep with the rows that were added last. */
  get mark(): readonly [name: string, value: string] {
    return [this.#name, String(this.#highest)];
  }

  add(rows: readonly { readonly id: string }[]): void {
    const last = BigInt(rows.at(-1)?.id ?? 0);
    if (last > this.#highest) this.#highest = last;
  }

  /** Begins with what Redis has kept. Undefined unless the database has gone back behind it. */
  async begin(kept: string | null): Promise<Required<SetBack> | undefined> {
    const [relayed, given] = [BigInt(kept ?? 0), await this.#given()];
    const isBack = given !== undefined && given < relayed;
    this.#highest = isBack ? given : relayed;
    return isBack
      ? { relayed: String(relayed), given: String(given), rows: Number(relayed - given) }
      : undefined;
  }
}

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
