import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readFile, rename, writeFile } from 'node:fs/promises';
import { REJECT_COLUMNS, type Row } from '../rows/columns.ts';

/** The files that an import keeps beside its input: the checkpoint and the rejects. */

/**
 * How far an import has come: a small file, written whole or not at all. It is written after Redis has
 * acknowledged the rows, so a resumed import skips none. Rows added since the last write are added again,
 * which does no harm.
 */
export interface Checkpoint {
  /** Identifies the input, and the options that decide what its rows mean. */
  readonly identity: string;
  /** Rows that are done, from the beginning of the file. */
  readonly rows: number;
  /** A query has it: the key of the last of them. */
  readonly key?: string;
  /** Bytes of the reject file that belong to these rows. */
  readonly rejectBytes: number;
  readonly counts: Readonly<ImportCounts>;
  /** The name of this import's tally (stream-writer.ts). */
  readonly tally: string;
}

/** What became of the rows so far. `rows` is the sum of the others. */
export interface ImportCounts {
  rows: number;
  rejected: number;
  /** Not added: the account exists already. */
  there: number;
  /** Not added: the API does not say whether the account exists. The reject file has these rows, too. */
  unasked: number;
  added: number;
}

const NO_COUNTS: ImportCounts = { rows: 0, rejected: 0, there: 0, unasked: 0, added: 0 };

const FORMAT = 1;
const EDGE_BYTES = 65_536;

/** Such a file cannot be read or written, or belongs to another import. The message says what to do. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

/**
 * Identifies an input by its size and its first and last 64 KiB. Name and date do not count: a copy is the
 * same file.
 */
export async function identityOf(path: string, options: unknown): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const hash = createHash('sha256').update(`${size} ${JSON.stringify(options)} `);
    for (const from of [0, Math.max(0, size - EDGE_BYTES)]) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(EDGE_BYTES), 0, EDGE_BYTES, from);
      hash.update(buffer.subarray(0, bytesRead));
    }
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}

/** Identifies a query of a database. */
export function identityOfQuery(address: string, query: string, options: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([address, query, options]))
    .digest('hex');
}

export function newCheckpoint(identity: string): Checkpoint {
  return { identity, rows: 0, rejectBytes: 0, counts: NO_COUNTS, tally: `import-${randomUUID()}` };
}

/**
 * Reads the checkpoint at `path`; undefined without one. Throws CheckpointError for one of another import.
 */
export async function readCheckpoint(path: string, identity: string): Promise<Checkpoint | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new CheckpointError(`${path} cannot be read: ${error.message}.`);
  });
  if (text === undefined) return undefined;
  const restart = 'To start over: --restart (rows that were added are added again, which does no harm).';
  let read: (Checkpoint & { readonly format: number }) | undefined;
  try {
    read = JSON.parse(text);
  } catch {
    // Reported below.
  }
  if (read?.format !== FORMAT || typeof read.rows !== 'number')
    throw new CheckpointError(`${path} is no checkpoint that this version can read. ${restart}`);
  if (read.identity !== identity)
    throw new CheckpointError(
      `${path} belongs to an import of another file, of another app or with other options. To go on with that one, give the same options. ${restart}`,
    );
  return read;
}

export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const unfinished = `${path}.unfinished`;
  try {
    // Synced before the rename: after a power cut the old checkpoint is still whole.
    const text = JSON.stringify({ format: FORMAT, ...checkpoint });
    await writeFile(unfinished, text, { mode: 0o600, flush: true });
    await rename(unfinished, path);
  } catch (error) {
    throw new CheckpointError(
      `The checkpoint ${path} cannot be written: ${(error as Error).message}. Name a place for it: --checkpoint FILE.`,
    );
  }
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
  /** The input has another encoding. A byte order mark tells that the reject file is UTF-8. */
  readonly isMarked?: boolean;
}

/**
 * The rows that cannot be imported, with line and reason. The file is made at the first of them. It has the
 * columns of the input, so that a user can mend it and import it.
 */
export class RejectFile {
  bytes: number;
  private readonly path: string;
  private readonly shape: RejectShape;
  private file: FileHandle | undefined;

  /**
   * `keptBytes`: what the checkpoint of a resumed import covers. Anything after it is cut off and written
   * again.
   */
  constructor(path: string, shape: RejectShape, keptBytes: number) {
    this.path = path;
    this.shape = shape;
    this.bytes = keptBytes;
  }

  /** Resolves when the file has them. */
  async add(rejects: readonly Reject[]): Promise<void> {
    if (rejects.length === 0) return;
    this.file ??= await this.open();
    const head = this.bytes === 0 ? headText(this.shape) : '';
    const text = Buffer.from(head + rejects.map((reject) => rejectText(reject, this.shape)).join(''));
    await this.file.write(text, 0, text.length, this.bytes);
    this.bytes += text.length;
  }

  private async open(): Promise<FileHandle> {
    try {
      const file = await open(this.path, constants.O_RDWR | constants.O_CREAT, 0o600);
      // The file of an earlier run was removed. The rest is written to a new one.
      if ((await file.stat()).size < this.bytes) this.bytes = 0;
      await file.truncate(this.bytes);
      return file;
    } catch (error) {
      throw new CheckpointError(
        `The reject file ${this.path} cannot be written: ${(error as Error).message}. Name a place for it: --rejects FILE.`,
      );
    }
  }

  async close(): Promise<void> {
    await this.file?.close();
  }
}

export function headText({ format, header, isMarked = false }: RejectShape): string {
  return (isMarked ? '\uFEFF' : '') + (format === 'csv' ? csvLine([...REJECT_COLUMNS, ...header]) : '');
}

export function rejectText({ row, reason }: Reject, { format, secret }: RejectShape): string {
  if (format === 'csv') {
    const cells = typeof row.raw === 'string' ? [row.raw] : row.raw;
    return csvLine([String(row.line), reason, ...cells.map((cell, at) => (at === secret ? '' : cell))]);
  }
  let value: unknown = row.raw;
  try {
    value = parsedExactly(String(row.raw));
  } catch {
    // No JSON: the line is kept as a text.
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const own = isObject ? Object.entries(value as object) : [['row', value]];
  const fields = own.filter(([name]) => name !== secret && name !== 'line' && name !== 'reason');
  const text = JSON.stringify({ line: row.line, reason, ...Object.fromEntries(fields) });
  return `${text.replace(MARKED_NUMBER, '$1')}\n`;
}

/** Marks a text that is a number in the file. It is random, so that no file holds it. */
const NUMBER_MARK = randomUUID();
const MARKED_NUMBER = new RegExp(`"${NUMBER_MARK}([^"]*)"`, 'g');
const STRING_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;

/**
 * Parses JSON, with a marked text in place of each number that JSON.parse would change: another digit is another
 * user. Throws where JSON.parse does.
 */
function parsedExactly(json: string): unknown {
  const value: unknown = JSON.parse(json);
  const marked = json.replace(STRING_OR_NUMBER, (token) =>
    token.startsWith('"') || String(Number(token)) === token ? token : `"${NUMBER_MARK}${token}"`,
  );
  return marked === json ? value : JSON.parse(marked);
}

/**
 * A line of CSV. A cell is quoted when it holds a separator, a quote, a line break, or blanks at its ends.
 */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => (/[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',')}\n`;
}
