import type { Row } from '../../tasks/rows/columns.ts';
import type { OpenRows } from '../../tasks/rows/open-rows.ts';
import { createDigitWatch, spreadsheetDamage } from '../../tasks/rows/spreadsheet-damage.ts';
import { grouped } from './rows-progress.ts';

/** The rows of a file on their way, and what is to be said of them as a whole. */
export interface WatchedRows {
  /** To be read once. */
  rows(): AsyncGenerator<Row>;
  /** By the rows and bytes read so far; undefined for standard input. */
  estimatedRows(): number | undefined;
  warnings(): string[];
}

export function watchRows(open: OpenRows): WatchedRows {
  const digits = createDigitWatch();
  let read = 0;
  let isDone = false;
  let mangled = 0;
  let firstMangled = '';
  return {
    async *rows() {
      for await (const row of open.rows()) {
        read++;
        const { userId } = row.user;
        digits.saw(userId);
        if (spreadsheetDamage(userId) !== undefined && mangled++ === 0)
          firstMangled = `${userId} in line ${row.line}`;
        yield row;
      }
      isDone = true;
    },
    estimatedRows() {
      const { readBytes, totalBytes } = open.bytes;
      if (totalBytes === undefined) return undefined;
      return isDone ? read : Math.round((read * totalBytes) / Math.max(1, Math.min(readBytes, totalBytes)));
    },
    warnings() {
      const found = digits.warnings();
      if (mangled > 0)
        found.unshift(
          `${grouped(mangled)} user IDs were spoiled by a spreadsheet, the first ${firstMangled}: export the file anew, with the IDs as text.`,
        );
      return found;
    },
  };
}
