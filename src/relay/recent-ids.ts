/** More than are in doubt at any time; they take some 5 MB. */
const KEPT = 50_000;

/** The numbers of the rows that were done last, to notice those that come back. */
export class RecentIds {
  readonly #ids = new Set<string>();

  add(rows: readonly { readonly id: string }[]): void {
    for (const { id } of rows) this.#ids.add(id);
    for (const oldest of this.#ids) {
      if (this.#ids.size <= KEPT) break;
      this.#ids.delete(oldest);
    }
  }

  countOf(rows: readonly { readonly id: string }[]): number {
    return rows.filter(({ id }) => this.#ids.has(id)).length;
  }
}
