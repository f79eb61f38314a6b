import { oddId } from '../../event/odd-values.ts';

/**
 * A spreadsheet reads an ID of digits as a number and writes another one: 123456789012 becomes 1.23457E+11,
 * 123456789 becomes 123456789.0, 00123 becomes 123, and every digit past the 15th becomes 0. An import would
 * then make accounts of other users. A single row shows the first two; only a whole file shows the others.
 */

/** Whether a row shows that a spreadsheet has changed this user ID. Pure. */
export function isMangled(userId: unknown): boolean {
  const kind = typeof userId === 'string' ? oddId(userId)?.kind : undefined;
  return kind === 'rounded' || kind === 'decimals';
}

const SIGNIFICANT_DIGITS = 15;
/** With fewer long numbers, ends in zeros may be chance or design. */
const ENOUGH = 20;

/** Collects the IDs of a file to find the damage that a single row does not show. */
export class DigitWatch {
  private long = 0;
  private longRounded = 0;
  private exampleRounded = '';
  /** Count of numbers by length: those that begin with 0, and the others. */
  private readonly paddedLengths = new Map<number, number>();
  private readonly bareLengths = new Map<number, number>();

  saw(userId: unknown): void {
    if (typeof userId !== 'string' || !/^\d{2,32}$/.test(userId)) return;
    const lengths = userId.startsWith('0') ? this.paddedLengths : this.bareLengths;
    lengths.set(userId.length, (lengths.get(userId.length) ?? 0) + 1);
    if (userId.length <= SIGNIFICANT_DIGITS) return;
    this.long++;
    if (!/^0+$/.test(userId.slice(SIGNIFICANT_DIGITS))) return;
    this.longRounded++;
    this.exampleRounded ||= userId;
  }

  /** One sentence per suspicion. */
  warnings(): string[] {
    const found: string[] = [];
    if (this.longRounded >= ENOUGH && this.longRounded === this.long)
      found.push(
        `All ${this.long} numbers of more than 15 digits end in zeros, such as ${this.exampleRounded}: a spreadsheet keeps 15 digits and loses the rest. Export the file again, with the IDs as text.`,
      );
    const [padded, ...more] = this.paddedLengths.keys();
    if (padded === undefined || more.length > 0) return found;
    if ([...this.bareLengths.keys()].some((length) => length > padded)) return found;
    let shorter = 0;
    for (const [length, count] of this.bareLengths) if (length < padded) shorter += count;
    if (shorter > 0)
      found.push(
        `${shorter} numbers have fewer than ${padded} digits, while those that begin with 0 all have ${padded}: their leading zeros may have been lost in a spreadsheet.`,
      );
    return found;
  }
}
