import { type FileHandle, open } from 'node:fs/promises';
import type { Row } from '../rows/columns.ts';
import { CheckpointError } from './checkpoint.ts';

/**
 * The rows that cannot be imported, with line and reason. The file is made at the first of them. It has the
 * columns of the input, so that a user can mend it and import it.
 */
export interface RejectFile {
  readonly path: string;
  readonly bytes: number;
  /** Resolves when the file has them. */
  add(rejects: readonly Reject[]): Promise<void>;
  close(): Promise<void>;
}

export interface Reject {
  readonly row: Row;
  readonly reason: string;
}

/** How a row of the input is written. The password is left out: no file keeps one. */
export interface RejectShape {
  readonly format: 'csv' | 'ndjson';
  readonly header: readonly string[];
  /** CSV: the index of the password's column. NDJSON: its key. */
  readonly secret: number | string | undefined;
}

/**
 * `keptBytes`: what the checkpoint of a resumed import covers. Anything after it is cut off and written
 * again.
 */
export function openRejectFile(path: string, shape: RejectShape, keptBytes: number): RejectFile {
  let file: FileHandle | undefined;
  let bytes = keptBytes;
  const opened = async (): Promise<FileHandle> => {
    try {
      file = await open(path, bytes > 0 ? 'r+' : 'w', 0o600).catch((error: NodeJS.ErrnoException) => {
        // The file of an earlier run was removed. The rest is written to a new one.
        if (error.code !== 'ENOENT') throw error;
        bytes = 0;
        return open(path, 'w', 0o600);
      });
      await file.truncate(bytes);
    } catch (error) {
      throw new CheckpointError(
        `The reject file ${path} cannot be written: ${(error as Error).message}. Name a place for it: --rejects FILE.`,
      );
    }
    return file;
  };
  return {
    path,
    get bytes() {
      return bytes;
    },
    async add(rejects) {
      if (rejects.length === 0) return;
      const handle = file ?? (await opened());
      const head = bytes === 0 ? headText(shape) : '';
      const text = Buffer.from(head + rejects.map((reject) => rejectText(reject, shape)).join(''));
      await handle.write(text, 0, text.length, bytes);
      bytes += text.length;
    },
    async close() {
      await file?.close();
    },
  };
}

export function headText({ format, header }: RejectShape): string {
  return format === 'csv' ? csvLine(['line', 'reason', ...header]) : '';
}

export function rejectText({ row, reason }: Reject, { format, secret }: RejectShape): string {
  if (format === 'csv') {
    const cells = typeof row.raw === 'string' ? [row.raw] : row.raw;
    return csvLine([String(row.line), reason, ...cells.map((cell, at) => (at === secret ? '' : cell))]);
  }
  let value: unknown = row.raw;
  try {
    value = JSON.parse(String(row.raw));
  } catch {
    // No JSON: the line is kept as a text.
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const own = isObject ? Object.entries(value as object) : [['row', value]];
  const fields = own.filter(([name]) => name !== secret && name !== 'line' && name !== 'reason');
  return `${JSON.stringify({ line: row.line, reason, ...Object.fromEntries(fields) })}\n`;
}

/**
 * A line of CSV. A cell is quoted when it holds a separator, a quote, a line break, or blanks at its ends.
 */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => (/[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',')}\n`;
}
