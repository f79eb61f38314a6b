import { pipeline, Readable } from 'node:stream';
import { type CsvError, parse } from 'csv-parse';
import type { UserFacts } from '../../event/validate.ts';
import { type FieldMap, type Row, type RowField, UnreadableRowsError } from './row.ts';

export interface CsvOptions {
  readonly delimiter: string;
  /** False: a quote is a character like any other. */
  readonly quotes: boolean;
}

/** A row's cells, the line that it begins on, and the line breaks within its quotes. */
interface Cells {
  readonly line: number;
  readonly breaks: number;
  readonly cells: readonly string[];
}

const LINE_END = /[\r\n]/;
const LINE_BREAK = /\r\n|\r|\n/g;
/** Past this a quote was opened and never closed. */
const MAX_ROW_BYTES = 1_048_576;

/**
 * The rows of CSV text in UTF-8, the header among them, one by one. A quote inside a cell is a character; a line
 * break inside quotes is one, too. Throws UnreadableRowsError where the text is no CSV any more.
 */
export async function* csvCells(text: AsyncIterable<Uint8Array>, options: CsvOptions): AsyncGenerator<Cells> {
  const parser = parse({
    delimiter: options.delimiter,
    quote: options.quotes ? '"' : null,
    escape: options.quotes ? '"' : null,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_quotes: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_ROW_BYTES,
  });
  /** The parser counts a CR LF within quotes as two lines. */
  let overcounted = 0;
  let last = 0;
  const placed = (cells: readonly string[]): Cells => {
    const counted = parser.info.lines;
    const isOneLine = counted === last + 1;
    last = counted;
    if (isOneLine) return { line: counted - overcounted, breaks: 0, cells };
    const breaks = cells.flatMap((cell) => cell.match(LINE_BREAK) ?? []);
    overcounted += breaks.filter((one) => one === '\r\n').length;
    return { line: counted - overcounted - breaks.length, breaks: breaks.length, cells };
  };
  // The line is known while a row is being read. The parser's own way to tell it, on_record, makes an object of
  // twenty fields a row and takes twice as long.
  const push = parser.push.bind(parser);
  parser.push = (cells: readonly string[] | null) => push(cells && placed(cells));
  pipeline(Readable.from(text, { objectMode: false }), parser, () => undefined);
  try {
    yield* parser as unknown as AsyncIterable<Cells>;
  } catch (error) {
    throw readable(error as Error, last + 1 - overcounted);
  }
}

function readable(error: Error, line: number): Error {
  const { code } = error as CsvError;
  if (code === 'CSV_MAX_RECORD_SIZE' || code === 'CSV_QUOTE_NOT_CLOSED')
    return new UnreadableRowsError(
      `A quote that is opened at line ${line} or soon after is never closed. Mend the file there; or, if its quotes mean nothing, read it with --no-quotes.`,
    );
  return code === undefined
    ? error
    : new UnreadableRowsError(`The file is no CSV near line ${line}: ${error.message}.`);
}

/** A row by its columns. `width`: the cells that a row has. Pure. */
export function csvRow({ line, breaks, cells }: Cells, columns: FieldMap<number>, width: number): Row {
  const user: Partial<Record<RowField, string>> = {};
  for (const [field, at] of columns) user[field] = tidy(field, cells[at] ?? '');
  const row = { line, user: user as UserFacts, raw: cells };
  const problem = problemOf(cells, breaks, columns, width);
  return problem === undefined ? row : { ...row, problem };
}

/** Blanks around an ID are a mistake, around a name they may be meant. `\N` is how MySQL writes nothing. */
function tidy(field: RowField, cell: string): string {
  if (cell === '\\N') return '';
  if (field === 'nick' || field === 'password') return cell;
  const bare = cell.trim();
  // How a spreadsheet is kept from taking text for a number.
  return /^="(.*)"$/.exec(bare)?.[1] ?? bare;
}

function problemOf(
  cells: readonly string[],
  breaks: number,
  columns: FieldMap<number>,
  width: number,
): string | undefined {
  if (breaks > 0) {
    // In a column that nobody reads they are nobody's business, unless a quote there has swallowed other rows.
    const isTaken = [...columns.values()].some((at) => LINE_END.test(cells[at] ?? ''));
    const isTorn = cells.some((cell) => cell.startsWith('"') && LINE_END.test(cell));
    if (isTaken || isTorn)
      return `a line break inside quotes: this row and the next ${breaks} lines were read as one; probably a quote is not closed`;
  }
  if (cells.length > width)
    return `${cells.length} cells where the header has ${width}: a separator inside a cell wants quotes`;
  if (cells.length < width && cells.length <= Math.max(...columns.values()))
    return `${cells.length} cells where the header has ${width}`;
  return undefined;
}
