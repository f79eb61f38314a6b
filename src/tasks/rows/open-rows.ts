import {
  columnsByNumber,
  columnsOfHeader,
  type FieldMap,
  type Mapping,
  type Row,
  unusedColumns,
} from './columns.ts';
import { csvCells, csvRow, delimiterOf } from './csv-rows.ts';
import { ndjsonRows } from './ndjson-rows.ts';
import {
  type Bytes,
  type Encoding,
  encodingOf,
  openBytes,
  toUtf8,
  UnreadableRowsError,
} from './read-text.ts';

/** How to read a file. What is left out is detected. */
export interface ReadOptions {
  readonly format?: 'csv' | 'ndjson';
  readonly encoding?: Encoding;
  readonly delimiter?: string;
  readonly mapping: Mapping;
  /** False: the first line of CSV is a user already. */
  readonly header: boolean;
  readonly quotes: boolean;
}

/** An open file. */
export interface OpenRows {
  readonly format: 'csv' | 'ndjson';
  readonly encoding: Encoding;
  /** CSV only: the names of the columns, in their order. Without a header: their numbers. */
  readonly header: readonly string[];
  readonly columns: FieldMap<number>;
  /** Columns that no field takes. */
  readonly unused: readonly string[];
  readonly bytes: Pick<Bytes, 'readBytes' | 'totalBytes' | 'isGzip'>;
  /** Can be read once. Throws UnreadableRowsError where the file becomes unreadable. */
  rows(): AsyncGenerator<Row>;
  close(): void;
}

/** Opens a file, or standard input for `-`, and detects how to read it. Throws UnreadableRowsError. */
export async function openRows(path: string, options: ReadOptions): Promise<OpenRows> {
  const bytes = await openBytes(path);
  try {
    return await read(path, bytes, options);
  } catch (error) {
    bytes.close();
    throw error;
  }
}

async function read(path: string, bytes: Bytes, options: ReadOptions): Promise<OpenRows> {
  if (bytes.head.length === 0)
    throw new UnreadableRowsError(`${path === '-' ? 'The input' : path} is empty.`);
  const found = encodingOf(bytes.head, options.encoding);
  const begin = await firstText(bytes.head, found);
  const format = options.format ?? formatOf(path, begin);
  const text = toUtf8(bytes.all(), found);
  const common = { format, encoding: found.encoding, bytes, close: () => bytes.close() };
  if (format === 'ndjson') {
    if (/^\s*\[/.test(begin))
      throw new UnreadableRowsError(
        "The file is a JSON list, but must hold one object per line. Convert it with: jq -c '.[]' FILE.",
      );
    const { mapping } = options;
    return { ...common, header: [], columns: new Map(), unused: [], rows: () => ndjsonRows(text, mapping) };
  }
  const delimiter = options.delimiter ?? delimiterOf(/^[^\r\n]*/.exec(begin.trimStart())?.[0] ?? '');
  const cells = csvCells(text, { delimiter, quotes: options.quotes });
  const first = await cells.next();
  if (first.done === true)
    throw new UnreadableRowsError(`${path === '-' ? 'The input' : path} holds no rows.`);
  const header = options.header
    ? first.value.cells.map((name) => name.trim())
    : first.value.cells.map((_, at) => String(at + 1));
  const columns = options.header
    ? columnsOfHeader(header, options.mapping)
    : columnsByNumber(options.mapping);
  async function* rows(): AsyncGenerator<Row> {
    if (!options.header && first.done !== true) yield csvRow(first.value, columns, header.length);
    for await (const one of cells) yield csvRow(one, columns, header.length);
  }
  return { ...common, header, columns, unused: options.header ? unusedColumns(header, columns) : [], rows };
}

async function firstText(head: Buffer, found: Parameters<typeof toUtf8>[1]): Promise<string> {
  async function* once(): AsyncGenerator<Uint8Array> {
    yield head;
  }
  const parts: Buffer[] = [];
  for await (const part of toUtf8(once(), found)) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

function formatOf(path: string, begin: string): 'csv' | 'ndjson' {
  const name = path.replace(/\.gz$/i, '');
  if (/\.(ndjson|jsonl|json)$/i.test(name)) return 'ndjson';
  if (/\.(csv|tsv|txt)$/i.test(name)) return 'csv';
  return /^\s*[[{]/.test(begin) ? 'ndjson' : 'csv';
}
