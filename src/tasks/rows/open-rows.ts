import {
  columnsByNumber,
  columnsOfHeader,
  type FieldMap,
  headerProblem,
  keysOfObject,
  type Mapping,
  REJECT_COLUMNS,
  type Row,
  unusedColumns,
} from './columns.ts';
import { csvCells, csvRow, delimiterOf, readDelimiter } from './csv-rows.ts';
import { DATABASE_FORMATS, type DatabaseFormat } from './database-export.ts';
import { refuseForeignFormat } from './foreign-formats.ts';
import {
  type Bytes,
  decoded,
  type Encoding,
  encodingOf,
  openBytes,
  UnreadableRowsError,
} from './read-text.ts';

/** How to read a file. What is left out is detected. */
export interface ReadOptions {
  readonly format?: 'csv' | 'ndjson' | DatabaseFormat | undefined;
  readonly encoding?: Encoding | undefined;
  readonly delimiter?: string | undefined;
  readonly mapping: Mapping;
  /** False: the first line of CSV is a user already. */
  readonly header: boolean;
  readonly quotes: boolean;
}

/** An open file. */
export interface OpenRows {
  readonly format: 'csv' | 'ndjson';
  /** What wrote it, where cells are escaped as a database does. */
  readonly database?: DatabaseFormat | undefined;
  readonly encoding: Encoding;
  /** CSV only: the names of the columns, in their order. Without a header: their numbers. */
  readonly header: readonly string[];
  readonly columns: FieldMap<number>;
  /** Columns that no field takes. */
  readonly unused: readonly string[];
  readonly bytes: Pick<Bytes, 'readBytes' | 'totalBytes' | 'isGzip'>;
  /** A query has it: where the rows come from, for people. */
  readonly origin?: string;
  /**
   * Can be read once. Throws UnreadableRowsError where the file becomes unreadable. Of a query, rows may begin
   * after a key; `rows` of them were read before.
   */
  rows(after?: { readonly key: string; readonly rows: number }): AsyncGenerator<Row>;
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
  const { mapping } = options;
  const database = DATABASE_FORMATS.find((one) => one === options.format);
  const name = path === '-' ? 'The input' : path;
  if (bytes.head.length === 0) throw new UnreadableRowsError(`${name} is empty.`);
  refuseForeignFormat(bytes.head, name);
  const encoding = encodingOf(bytes.head, options.encoding);
  const begin = new TextDecoder(encoding).decode(bytes.head);
  const asked = options.format === 'ndjson' || options.format === 'csv' ? options.format : undefined;
  const format = database === undefined ? (asked ?? formatOf(path, begin)) : 'csv';
  const text = decoded(bytes.all, encoding);
  const common = { format, encoding, bytes, close: () => bytes.close() };
  if (format === 'ndjson') {
    if (/^\s*\[/.test(begin))
      throw new UnreadableRowsError(
        "The file is a JSON list, but must hold one object per line. Convert it with: jq -c '.[]' FILE.",
      );
    return { ...common, header: [], columns: new Map(), unused: [], rows: () => ndjsonRows(text, mapping) };
  }
  const topLine = /^[^\r\n]*/.exec(begin.trimStart())?.[0] ?? '';
  refuseForRejects(topLine, options, name);
  // Excel's own mark, which is no row.
  const [isMark, marked] = /^"?sep=(.)"?$/i.exec(topLine) ?? [];
  const tab = database && '\t';
  const delimiter = options.delimiter ?? tab ?? readDelimiter(marked ?? '') ?? delimiterOf(topLine);
  const quotes = options.quotes && database === undefined;
  const cells = csvCells(text, { delimiter, quotes, database });
  if (isMark !== undefined) await cells.next();
  const first = await cells.next();
  if (first.done === true) throw new UnreadableRowsError(`${name} holds no rows.`);
  const top = first.value;
  const header = top.cells.map((cell, at) => (options.header ? cell.trim() : String(at + 1)));
  const columns = options.header
    ? columnsOfHeader(header, mapping)
    : columnsByNumber(mapping, top.cells.length);
  async function* rows(): AsyncGenerator<Row> {
    if (!options.header) yield csvRow(top, columns, header.length, delimiter);
    for await (const one of cells) {
      const row = csvRow(one, columns, header.length, delimiter);
      const problem = options.header ? headerProblem(one.cells, header) : undefined;
      yield problem === undefined ? row : { ...row, problem };
    }
  }
  const unused = options.header ? unusedColumns(header, columns) : [];
  return { ...common, database, header, columns, unused, rows };
}

/** A reject file is plain CSV, whatever the input was. With the input's options its rows would be misread. */
function refuseForRejects(topLine: string, options: ReadOptions, name: string): void {
  const { header, quotes, delimiter = ',', format = 'csv' } = options;
  if (!`${topLine},`.startsWith(`${REJECT_COLUMNS.join(',')},`)) return;
  if (header && quotes && delimiter === ',' && format === 'csv') return;
  throw new UnreadableRowsError(
    `${name} is a reject file, which is CSV with a header whatever the input was: leave out --no-header, --no-quotes, --delimiter and --format, and keep --map.`,
  );
}

function formatOf(path: string, begin: string): 'csv' | 'ndjson' {
  const name = path.replace(/\.gz$/i, '');
  if (/\.(ndjson|jsonl|json)$/i.test(name)) return 'ndjson';
  if (/\.(csv|tsv|txt)$/i.test(name)) return 'csv';
  return /^\s*[[{]/.test(begin) ? 'ndjson' : 'csv';
}

/** Ten times what a user takes with all fields of an event at their longest. */
const MAX_LINE_CHARS = 1_048_576;

/** Reads the rows of NDJSON: one JSON object a line. Throws UnreadableRowsError for an endless line. */
export async function* ndjsonRows(text: AsyncIterable<string>, mapping: Mapping): AsyncGenerator<Row> {
  let line = 0;
  let rest = '';
  for await (const piece of text) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const content of lines) {
      line++;
      if (content.trim() !== '') yield ndjsonRow(line, content, mapping);
    }
    if (rest.length > MAX_LINE_CHARS)
      throw new UnreadableRowsError(
        `Line ${line + 1} is longer than a million characters. The file must hold one JSON object per line. Convert a JSON list with: jq -c '.[]'.`,
      );
  }
  if (rest.trim() !== '') yield ndjsonRow(line + 1, rest, mapping);
}

/** Reads one line. A line that is no JSON object becomes a row with a `problem`. Pure. */
export function ndjsonRow(line: number, content: string, mapping: Mapping): Row {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    const todo = /,\s*$/.test(content)
      ? 'leave out the comma at its end'
      : 'each line must hold one whole object (jq -c . FILE writes it so)';
    return { line, user: {}, problem: `the line is not JSON: ${todo}`, raw: content };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { line, user: {}, problem: 'the line is not a JSON object', raw: content };
  const fields = value as Readonly<Record<string, unknown>>;
  const keys = keysOfObject(Object.keys(fields), mapping);
  const user = Object.fromEntries([...keys].map(([field, key]) => [field, fields[key]]));
  return { line, user, raw: content };
}
