/**
 * A spreadsheet reads an ID of digits as a number and writes another one: 123456789012 becomes 1.23457E+11,
 * 123456789 becomes 123456789.0, 00123 becomes 123, and every digit past the 15th becomes 0. An import would
 * then make accounts of other users. A single row shows the first two; only a whole file shows the others.
 */

/** Why a spreadsheet seems to have changed this user ID; undefined when it does not. Pure. */
export function spreadsheetDamage(userId: unknown): string | undefined {
  if (typeof userId !== 'string') return undefined;
  if (/^\d(?:[.,]\d+)?E\+?\d{1,3}$/i.test(userId) && /[.,+]/.test(userId))
    return `userId ${userId} is a number that a spreadsheet has rounded: its digits are lost`;
  if (/^\d+[.,]0+$/.test(userId))
    return `userId ${userId} is a number with decimals that a spreadsheet has added`;
  return undefined;
}

const SIGNIFICANT_DIGITS = 15;
/** With fewer long numbers, ends in zeros may be chance or design. */
const ENOUGH = 20;

/** Collects the IDs of a file to find the damage that a single row does not show. */
export interface DigitWatch {
  saw(userId: unknown): void;
  /** One sentence per suspicion. */
  warnings(): string[];
}

export function createDigitWatch(): DigitWatch {
  let long = 0;
  let longRounded = 0;
  let exampleRounded = '';
  /** Count of numbers by length: those that begin with 0, and the others. */
  const paddedLengths = new Map<number, number>();
  const bareLengths = new Map<number, number>();
  return {
    saw(userId) {
      if (typeof userId !== 'string' || !/^\d{2,32}$/.test(userId)) return;
      const lengths = userId.startsWith('0') ? paddedLengths : bareLengths;
      lengths.set(userId.length, (lengths.get(userId.length) ?? 0) + 1);
      if (userId.length <= SIGNIFICANT_DIGITS) return;
      long++;
      if (!/^0+$/.test(userId.slice(SIGNIFICANT_DIGITS))) return;
      longRounded++;
      exampleRounded ||= userId;
    },
    warnings() {
      const found: string[] = [];
      if (longRounded >= ENOUGH && longRounded === long)
        found.push(
          `All ${long} numbers of more than 15 digits end in zeros, such as ${exampleRounded}: a spreadsheet keeps 15 digits and loses the rest. Export the file again, with the IDs as text.`,
        );
      const [padded, ...more] = paddedLengths.keys();
      if (padded === undefined || more.length > 0) return found;
      const shorter = [...bareLengths].filter(([length]) => length < padded);
      const longer = [...bareLengths].some(([length]) => length > padded);
      const count = shorter.reduce((sum, [, n]) => sum + n, 0);
      if (count > 0 && !longer)
        found.push(
          `${count} numbers have fewer than ${padded} digits, while those that begin with 0 all have ${padded}: their leading zeros may have been lost in a spreadsheet.`,
        );
      return found;
    },
  };
}
