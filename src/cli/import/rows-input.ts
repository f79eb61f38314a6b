import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../../config/config.ts';
import { databaseUrl, readDatabaseUrl, shownAddress } from '../../config/database-url.ts';
import { type DatabaseSettings, databaseAdvice, reasonOf } from '../../database/database.ts';
import { databaseSettings } from '../../database/settings.ts';
import { eventRulesOf } from '../../event/event.ts';
import { ALL_ODD_IDS } from '../../event/odd-values.ts';
import { streamFaultOf } from '../../producer/stream-fault.ts';
import { keysOf } from '../../redis/keys.ts';
import { CheckpointError, type RejectShape } from '../../tasks/backfill/import-files.ts';
import type { RowRules } from '../../tasks/backfill/validate-rows.ts';
import { ChecksRefusedError } from '../../tasks/check-caller.ts';
import { type Mapping, type Row, readMapping } from '../../tasks/rows/columns.ts';
import { readDelimiter } from '../../tasks/rows/csv-rows.ts';
import { DATABASE_FORMATS } from '../../tasks/rows/database-export.ts';
import { type OddFinding, OddRows } from '../../tasks/rows/odd-rows.ts';
import { type OpenRows, openRows, type ReadOptions } from '../../tasks/rows/open-rows.ts';
import { openQueryRows, type QueryRows } from '../../tasks/rows/query-rows.ts';
import { ENCODINGS, UnreadableRowsError } from '../../tasks/rows/read-text.ts';
import { DigitWatch, isMangled } from '../../tasks/rows/spreadsheet-damage.ts';
import { readTextFile } from '../context.ts';
import { CliError, EXIT } from '../fail.ts';
import { grouped } from '../format.ts';
import { optionOf } from '../option.ts';
import { type RowsProgress, startRowsProgress } from '../progress.ts';
import { onInterrupt } from '../terminal.ts';

/** What the verbs that read a file share: options, opening, watching the rows, errors, Ctrl-C. */

/** The options that say how a file is read, as commander gives them. */
export interface RowsFlags extends Omit<ReadOptions, 'mapping'> {
  readonly map?: Mapping;
  readonly allowMangled?: boolean;
  readonly allowOddIds?: boolean;
  readonly query?: string;
  readonly key?: string;
  readonly databaseUrl?: string;
}

export const ROWS_HELP = `
The file is CSV with a header, or NDJSON (one JSON object per line), plain or gzip; - is standard input.
Columns are found by their names: userId (user_id, uid, id, …), nick (nickname, name, 昵称, …), faceUrl (avatar,
avatar_url, 头像, …), type (0 ordinary; 1 robot, with IMSYNC_API=legacy only: the other forms have no Type, and such
rows are rejected). Other columns are not used. --map names the columns where this fails: by name (nick=alias), by
position (nick=#3), or none (nick=). --format mysql reads mysql -B, --format pg what COPY writes: NULL and escapes are undone.
The file must be UTF-8, with or without a byte order mark. A user ID has up to 32 bytes of printable ASCII.
What no app uses as an ID (NULL, 1,234,567, "alice" in quotes) is rejected, unless --allow-odd-ids says that it is meant.

In place of a file, --query reads the rows of a SELECT from the database of IMSYNC_DATABASE_URL (PostgreSQL, MySQL,
MariaDB), page by page in the order of the user ID, which must be unique and should have an index (else: --key COLUMN).`;

const DELIMITER = {
  fromText: readDelimiter,
  allowed: 'one character, or a name: tab, comma, semicolon, pipe',
};

/** Adds the options that say how a file is read. */
export function addRowsOptions(command: Command): Command {
  return command
    .option(
      '--map <field=column,…>',
      'which column holds which field, such as userId=uid,nick=name',
      addMapping,
    )
    .addOption(
      new Option('--format <format>', 'format of the file (default: by its name and content)').choices([
        'csv',
        'ndjson',
        ...DATABASE_FORMATS,
      ]),
    )
    .option(
      '--delimiter <character>',
      'character between the cells of CSV (default: , ; tab or |, whichever the header uses)',
      optionOf(DELIMITER),
    )
    .addOption(
      new Option('--encoding <name>', 'encoding of the file (default: utf-8, which is checked)').choices(
        ENCODINGS,
      ),
    )
    .option('--no-header', 'the CSV has no header: --map columns by number, such as userId=1,nick=2')
    .option('--no-quotes', 'a quote in CSV is a character like any other')
    .option('--allow-mangled', 'accept IDs such as 1.23E+11, which a spreadsheet has damaged')
    .option('--allow-odd-ids', 'accept all IDs that programs leave behind, such as NULL')
    .option('--query <select>', 'read the rows of this SELECT from the database, in place of a file')
    .option('--key <column>', 'with --query: a unique column to page by (default: that of the user ID)')
    .option(
      '--database-url <url>',
      'with --query: the database, without a password (default: IMSYNC_DATABASE_URL)',
    );
}

function addMapping(text: string, earlier: Mapping = {}): Mapping {
  try {
    return readMapping(text, earlier);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

/** What a verb that reads a file works with. */
export interface RowsRun {
  readonly rows: OpenRows;
  readonly watched: WatchedRows;
  /** What looked odd in the rows that were taken. */
  readonly odd: OddRows;
  readonly progress: RowsProgress;
  /** Aborted by Ctrl-C. Then the file is closed, too. */
  readonly signal: AbortSignal;
}

/**
 * Opens the file for `work`, and closes it at the end. Resolves to the exit code. Throws a CliError.
 * `advice`: what to do when the API refuses account_check.
 */
export async function withRows(
  { config, verb, file, advice = '' }: { config: Config; verb: string; file: string; advice?: string },
  flags: RowsFlags,
  work: (run: RowsRun) => Promise<number>,
): Promise<number> {
  const mapping = flags.map ?? {};
  const { query } = flags;
  const opening =
    query === undefined ? openRows(file, { ...flags, mapping }) : openQuery(config, query, flags);
  const rows = await opening.catch((error: Error) => {
    throw error instanceof UnreadableRowsError ? new CliError(EXIT.usage, error.message) : error;
  });
  const watched = watchRows(rows);
  const odd = new OddRows([...rows.columns.keys()]);
  const progress = startRowsProgress(verb, watched.estimatedRows);
  const interruption = onInterrupt(() => rows.close());
  try {
    const exitCode = await work({ rows, watched, odd, progress, signal: interruption.signal });
    return interruption.exitCode ?? exitCode;
  } catch (error) {
    throw streamError(config, error as Error) ?? rowsError(error, advice);
  } finally {
    progress.end();
    interruption.release();
    rows.close();
  }
}

/** The name of the input in results and errors: the file, or `query`. Throws a CliError unless one is given. */
export function inputName(file: string | undefined, flags: RowsFlags): string {
  if (file !== undefined && flags.query !== undefined)
    throw new CliError(EXIT.usage, 'Both a file and a --query are given: leave one of them out.');
  if (file !== undefined) return file;
  if (flags.query !== undefined) return 'query';
  throw new CliError(EXIT.usage, 'Give a file, or - for standard input, or --query SELECT. (see --help)');
}

/** Opens a query. Throws a CliError when the database cannot be reached. */
export async function openQuery(
  config: Config,
  query: string,
  { map: mapping = {}, key, databaseUrl }: Pick<RowsFlags, 'map' | 'key' | 'databaseUrl'>,
): Promise<QueryRows> {
  const settings = databaseOf(config, databaseUrl);
  return openQueryRows({ settings, query, key, mapping }).catch((error: Error) => {
    if (error instanceof UnreadableRowsError) throw error;
    throw new CliError(
      EXIT.outOfReach,
      `The database ${shownAddress(settings)} cannot be used: ${reasonOf(error)}. ${databaseAdvice(error)}`,
    );
  });
}

/** The settings of the database. Throws ConfigError, and a CliError for a password on the command line. */
export function databaseOf(config: Config, address: string | undefined): DatabaseSettings {
  const given = address === undefined ? undefined : readDatabaseUrl(address);
  if (address !== undefined && given === undefined)
    throw new CliError(EXIT.usage, `--database-url must be ${databaseUrl.allowed}.`);
  if (given !== undefined && given.password !== '')
    throw new CliError(
      EXIT.usage,
      'The --database-url holds a password, which every user of this machine can see: give the address in IMSYNC_DATABASE_URL or in the file of IMSYNC_DATABASE_URL_FILE.',
    );
  return databaseSettings(config, readTextFile, address);
}

/** What the file was recognized as. It is printed before anything is done. */
export function openedText(rows: OpenRows): string {
  const { format, database, encoding, columns, header, unused, bytes } = rows;
  const name = { csv: 'CSV', ndjson: 'NDJSON', mysql: 'mysql -B', pg: 'COPY' }[database ?? format];
  const { origin = `${name}, ${encoding}${bytes.isGzip ? ', gzip' : ''}` } = rows;
  if (format === 'ndjson') return `${origin}.`;
  const used = [...columns].map(([field, at]) => `${field} from ${header[at]}`).join(', ');
  return `${origin}: ${used}${unused.length === 0 ? '' : `; not used: ${unused.slice(0, 20).join(', ')}`}.`;
}

/** How the rows of the input are written to a reject file or a missing file. */
export function rejectShape(rows: OpenRows): RejectShape {
  const secret = rows.format === 'csv' ? rows.columns.get('password') : 'password';
  const isMarked = rows.encoding !== 'utf-8';
  return { format: rows.format, header: rows.header, secret, isMarked };
}

export function rulesOf(config: Config, flags: RowsFlags, odd: OddRows): RowRules {
  const rules = eventRulesOf(config);
  const { allowMangled = false, allowOddIds = false } = flags;
  const also = allowOddIds ? [ALL_ODD_IDS] : allowMangled ? ['rounded'] : [];
  return {
    ...rules,
    allowOddIds: [...config.allowOddIds, ...also],
    allowDecimals: allowMangled || allowOddIds,
    odd,
  };
}

/** The rows of a file as they are read, with an estimate of their number and warnings about them. */
type WatchedRows = ReturnType<typeof watchRows>;

function watchRows(open: OpenRows) {
  const digits = new DigitWatch();
  let read = 0;
  let isDone = false;
  let mangled = 0;
  let firstMangled = '';
  return {
    /** Can be read once. */
    async *rows(...after: Parameters<OpenRows['rows']>): AsyncGenerator<Row> {
      for await (const row of open.rows(...after)) {
        read++;
        const { userId } = row.user;
        digits.saw(userId);
        if (isMangled(userId) && mangled++ === 0) firstMangled = `${userId} in line ${row.line}`;
        yield row;
      }
      isDone = true;
    },
    /** Estimated from the rows and bytes read so far; undefined for standard input. */
    estimatedRows(): number | undefined {
      const { readBytes, totalBytes } = open.bytes;
      if (totalBytes === undefined) return undefined;
      return isDone ? read : Math.round((read * totalBytes) / Math.max(1, Math.min(readBytes, totalBytes)));
    },
    warnings(): string[] {
      const found = digits.warnings();
      if (mangled > 0)
        found.unshift(
          `A spreadsheet has damaged ${grouped(mangled)} user IDs, the first of them ${firstMangled}. Export the file again, with the IDs as text.`,
        );
      return found;
    },
  };
}

/** A summary as text: the warnings before it, and after it what looked odd and was taken all the same. */
export function summaryText(
  { warnings, odd }: { readonly warnings: readonly string[]; readonly odd: readonly OddFinding[] },
  lines: readonly string[],
): string {
  const table = odd.map(({ what, rows, lines: first }) => {
    const more = rows > first.length ? ', …' : '';
    const where = first.length === 0 ? '' : ` (line ${first.join(', ')}${more})`;
    return `  ${grouped(rows)}: ${what}${where}`;
  });
  const head = table.length === 0 ? [] : ['Looked odd, and was taken all the same:'];
  return `${[...warnings.map((warning) => `Warning: ${warning}`), ...lines, ...head, ...table].join('\n')}\n`;
}

/** Gives an error its exit code. */
function rowsError(error: unknown, advice: string): unknown {
  if (error instanceof UnreadableRowsError || error instanceof CheckpointError)
    return new CliError(EXIT.failed, error.message);
  if (error instanceof ChecksRefusedError)
    return new CliError(
      EXIT.outOfReach,
      `The API does not say which accounts exist: ${error.message}. imsync doctor finds out why.${advice}`,
    );
  return error;
}

/** A stream that takes no events, told as the producer tells it. */
function streamError(config: Config, { message }: Error): CliError | undefined {
  const fault = streamFaultOf(message, keysOf(config.app.sdkAppId).stream);
  return fault && new CliError(EXIT.outOfReach, `${fault.text}. ${fault.todo}.`);
}
