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
