import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Mapping, readMapping } from '../../tasks/rows/columns.ts';
import { readDelimiter } from '../../tasks/rows/csv-rows.ts';
import type { ReadOptions } from '../../tasks/rows/open-rows.ts';
import { ENCODINGS, type Encoding } from '../../tasks/rows/read-text.ts';

/** How a file is to be read, as commander gives it. */
export interface RowsFlags {
  readonly map?: Mapping;
  readonly format?: 'csv' | 'ndjson';
  readonly delimiter?: string;
  readonly encoding?: Encoding;
  readonly header: boolean;
  readonly quotes: boolean;
  readonly allowMangled?: boolean;
}

export const ROWS_HELP = `
The file is CSV with a header, or NDJSON (a JSON object a line), plain or gzip; - is standard input.
Columns are found by their names: userId (user_id, uid, id, …), nick (nickname, name, 昵称, …), faceUrl (avatar,
avatar_url, 头像, …), type (0 ordinary; 1 robot, with IMSYNC_API=legacy only: the other forms have no Type, and such
rows are rejected). Other columns are not used. --map says it where that fails.
UTF-8 is expected, with or without a byte order mark. A user ID takes up to 32 bytes of printable ASCII.`;

/** Adds the options that say how a file is read. */
export function addRowsOptions(command: Command): Command {
  return command
    .option('--map <field=column,…>', 'which column is which field, such as userId=uid,nick=name', addMapping)
    .addOption(new Option('--format <format>', 'default: by name and content').choices(['csv', 'ndjson']))
    .option(
      '--delimiter <character>',
      'what separates the cells of CSV; default: , ; tab or | by the header',
      delimiter,
    )
    .addOption(new Option('--encoding <name>', 'default: utf-8, which is checked').choices(ENCODINGS))
    .option('--no-header', 'CSV without a header: --map by number, such as userId=1,nick=2')
    .option('--no-quotes', 'a quote in CSV is a character like any other')
    .option(
      '--allow-mangled',
      'take IDs such as 1.23E+11 as they stand, though a spreadsheet has spoiled them',
    );
}

export function readOptionsOf(flags: RowsFlags): ReadOptions {
  return {
    ...(flags.format !== undefined && { format: flags.format }),
    ...(flags.encoding !== undefined && { encoding: flags.encoding }),
    ...(flags.delimiter !== undefined && { delimiter: flags.delimiter }),
    mapping: flags.map ?? {},
    header: flags.header,
    quotes: flags.quotes,
  };
}

function addMapping(text: string, earlier: Mapping = {}): Mapping {
  try {
    return readMapping(text, earlier);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function delimiter(text: string): string {
  const found = readDelimiter(text);
  if (found === undefined)
    throw new InvalidArgumentError('It must be one character, or a name: tab, comma, semicolon, pipe.');
  return found;
}
