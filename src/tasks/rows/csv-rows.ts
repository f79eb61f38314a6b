import { pipeline, Readable } from 'node:stream';
import { type CsvError, parse } from 'csv-parse';
import type { UserFacts } from '../../event/validate.ts';
import type { FieldMap, Row, RowField } from './columns.ts';
import { type DatabaseFormat, exportedCell, isEndOfCopy } from './database-export.ts';
import { UnreadableRowsError } from './read-text.ts';

/** Possible separators. The first wins a tie. */
const DELIMITERS = [',', ';', '\t', '|'];

/** Finds the separator of a CSV file in its first line, outside quotes. Without any it is ','. Pure. */
export function delimiterOf(firstLine: string): string {
  const bare = firstLine.replace(/"(?:[^"]|"")*"/g, '');
  const counts = DELIMITERS.map((candidate) => bare.split(candidate).length);
  return DELIMITERS[counts.indexOf(Math.max(...counts))] ?? ',';
}

/** Reads `--delimiter`: a character, or its name. Undefined for anything else. Pure. */
export function readDelimiter(text: string): string | undefined {
  const named = { tab: '\t', '\\t': '\t', comma: ',', semicolon: ';', pipe: '|' }[text.toLowerCase()];
  if (named !== undefined) return named;
  return [...text].length === 1 && !/["\r\n]/.test(text) ? text : undefined;
}

export interface CsvOptions {
  readonly delimiter: string;
  /** False: a quote is an ordinary character. */
  readonly quotes: boolean;
  /** Escapes are undone, and NULL is an empty cell. */
  readonly database?: DatabaseFormat | undefined;
}

/** A row's cells, the line on which it begins, and the number of line breaks within its quotes. */
interface Cells {
  readonly line: number;
  readonly breaks: number;
  readonly cells: readonly string[];
}

const LINE_BREAK = /\r\n|\r|\n/g;
/** A longer row is no user. As a rule a quote was opened and never closed. */
const MAX_ROW_BYTES = 1_048_576;

/**
 * Reads the rows of CSV one by one, the header included. A quote inside a cell is an ordinary character, and
 * so is a line break inside quotes. Blanks before a quote that opens a cell do not belong to the cell. Throws UnreadableRowsError where the text stops being CSV.
 */
export async function* csvCells(text: AsyncIterable<string>, options: CsvOptions): AsyncGenerator<Cells> {
  const { delimiter, quotes, database } = options;
  let last = 0;
  /** Lines counted too many: the parser counts a CR LF within quotes as two. */
  let overcounted = 0;
  const placed = (cells: readonly string[], counted: number): Cells | null => {
    const isOneLine = counted === last + 1;
    last = counted;
    const breaks = isOneLine ? [] : cells.flatMap((cell) => cell.match(LINE_BREAK) ?? []);
    overcounted += breaks.filter((one) => one === '\r\n').length;
    const line = counted - overcounted - breaks.length;
    if (database === undefined)
      return { line, breaks: breaks.length, cells: quotes ? cells.map(withoutQuotes) : cells };
    if (isEndOfCopy(cells)) return null;
    return { line, breaks: 0, cells: cells.map((cell) => exportedCell(cell, database)) };
  };
  const quote = quotes ? '"' : null;
  const parser = parse({
    delimiter,
    quote,
    escape: quote,
    // A database export escapes line feeds only.
    record_delimiter: database === undefined ? ['\r\n', '\n', '\r'] : ['\r\n', '\n'],
    ltrim: quotes,
    relax_quotes: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_ROW_BYTES,
    // An error drops the rows that nobody has taken yet, so they are counted while they are read.
    // The types of csv-parse know no records of another kind without names of columns.
    on_record: (cells, { lines }) => placed(cells, lines) as unknown as string[],
  });
  pipeline(Readable.from(text, { objectMode: false }), parser, () => undefined);
  try {
    yield* parser as unknown as AsyncIterable<Cells>;
  } catch (error) {
    throw readable(error as Error, last + 1 - overcounted);
  }
}

/** Blanks after the quote that closes a cell leave both quotes in it. */
function withoutQuotes(cell: string): string {
  return (cell.startsWith('"') && /^"([^"]*)"[ \t]+$/.exec(cell)?.[1]) || cell;
}

function readable(error: Error, line: number): Error {
  const { code, lines } = error as CsvError & { readonly lines?: number };
  if (code === 'CSV_MAX_RECORD_SIZE' && lines !== undefined && lines <= line)
    return new UnreadableRowsError(
      `Line ${line} is longer than 1 MiB. A user takes a few hundred bytes: is this the right file? If a column holds that much, leave it out of the export.`,
    );
  if (code === 'CSV_MAX_RECORD_SIZE' || code === 'CSV_QUOTE_NOT_CLOSED')
    return new UnreadableRowsError(
      `A quote that opens at line ${line} or soon after is never closed. Correct the file there. If quotes have no meaning in this file, read it with --no-quotes.`,
    );
  return code === undefined
    ? error
    : new UnreadableRowsError(`The file is not valid CSV near line ${line}: ${error.message}.`);
}

/** Takes a row apart by its columns. `width`: the cells that a row should have. Pure. */
export function csvRow(
  { line, breaks, cells }: Cells,
  columns: FieldMap<number>,
  width: number,
  delimiter = ',',
): Row {
  const user: Partial<Record<RowField, string>> = {};
  for (const [field, at] of columns) user[field] = tidy(field, cells[at] ?? '');
  const row = { line, user: user as UserFacts, raw: cells };
  const problem =
    (breaks > 0 ? swallowedProblem(cells, breaks, columns, delimiter) : undefined) ??
    widthProblem(cells, columns, width);
  return problem === undefined ? row : { ...row, problem };
}

/** Blanks around an ID are a mistake; around a name they may be meant. MySQL writes NULL as `\N`. */
function tidy(field: RowField, cell: string): string {
  if (cell === '\\N') return '';
  if (field === 'password') return cell;
  const bare = cell.trim();
  // Exports write `="123"` to keep a spreadsheet from reading text as a number. Some write all cells so.
  return /^="(.*)"$/.exec(bare)?.[1] ?? (field === 'nick' ? cell : bare);
}

/**
 * A name may hold a line break within its quotes. A quote that is not closed also swallows rows, and with them a
 * separator. Line breaks in an unused column do no harm, unless an unclosed quote there has swallowed other rows.
 */
function swallowedProblem(
  cells: readonly string[],
  breaks: number,
  columns: FieldMap<number>,
  delimiter: string,
): string | undefined {
  const isBroken = (cell: string): boolean => /[\r\n]/.test(cell);
  const isTaken = [...columns].some(([field, at]) => {
    const cell = cells[at] ?? '';
    return isBroken(cell) && (field !== 'nick' || cell.includes(delimiter));
  });
  if (!isTaken && !cells.some((cell) => cell.startsWith('"') && isBroken(cell))) return undefined;
  return `a line break inside quotes: this row and the next ${breaks} lines were read as one. Probably a quote is not closed. If it is meant, give the row as NDJSON`;
}

function widthProblem(
  cells: readonly string[],
  columns: FieldMap<number>,
  width: number,
): string | undefined {
  const isEmptyBeyond = cells.slice(width).every((cell) => cell.trim() === '');
  if (cells.length > width)
    return `${cells.length} cells where the header has ${width}: ${
      isEmptyBeyond
        ? 'the row ends in a separator, and the header does not'
        : 'a cell that contains a separator needs quotes'
    }`;
  if (cells.length < width && cells.length <= Math.max(...columns.values()))
    return `${cells.length} cells where the header has ${width}`;
  return undefined;
}
