import { setTimeout as sleep } from 'node:timers/promises';
import { shownAddress } from '../../config/database-url.ts';
import {
  type DatabaseSettings,
  databaseAdvice,
  quoteColumn,
  type Reply,
  reasonOf,
  type Session,
} from '../../database/database.ts';
import { openDatabase } from '../../database/open-database.ts';
import type { UserFacts } from '../../event/validate.ts';
import { columnsOfHeader, type FieldMap, type Mapping, type Row, unusedColumns } from './columns.ts';
import type { OpenRows } from './open-rows.ts';
import { UnreadableRowsError } from './read-text.ts';

export interface QueryOptions {
  readonly settings: DatabaseSettings;
  /** A SELECT, as a user would write it. */
  readonly query: string;
  readonly mapping: Mapping;
  /** The column by which pages follow each other; default: that of the user ID. */
  readonly key?: string | undefined;
}

/** The rows of a query, read in pages. */
export interface QueryRows extends OpenRows {
  /** Reads the rows of these keys as they are now; one that is gone is left out. */
  again(keys: readonly string[]): Promise<Row[]>;
}

/** A page is one short statement: no transaction stays open for the hours that a large table takes. */
const PAGE_ROWS = 5_000;
const TRIES = 6;
const RETRY_MS = 1_000;

const READ_ONLY = {
  postgres: 'SET default_transaction_read_only = on',
  mysql: 'SET SESSION TRANSACTION READ ONLY',
};

/**
 * Opens a query in place of a file. Rows come in the order of their keys, each page after the last key of the
 * page before, so a later reading can go on there. A session that breaks is opened again. Rejects with the
 * driver's error when the database cannot be reached, with UnreadableRowsError for a query that cannot be used.
 */
export async function openQueryRows(options: QueryOptions): Promise<QueryRows> {
  const { settings, mapping } = options;
  const { dialect } = settings;
  const inner = `(${options.query.trim().replace(/;\s*$/, '')}) AS imsync_rows`;
  const source = createSource(settings);
  const first = await source.read(`SELECT * FROM ${inner} LIMIT 0`, []).catch(async (error: Error) => {
    await source.end();
    throw isOfQuery(error) ? new UnreadableRowsError(`The query was refused: ${reasonOf(error)}.`) : error;
  });
  const header = first.columns;
  const columns = columnsOfHeader(header, mapping);
  const keyName = options.key ?? header[columns.get('userId') ?? 0] ?? '';
  const keyAt = header.indexOf(keyName);
  if (keyAt < 0) {
    await source.end();
    throw new UnreadableRowsError(
      `--key ${keyName}: the query has no such column, but ${header.join(', ')}.`,
    );
  }
  const key = quoteColumn(dialect, keyName);
  const parameter = dialect === 'postgres' ? '$1' : '?';
  const isAny = dialect === 'postgres' ? `${key} = ANY($1)` : `${key} IN (?)`;
  const rowOf = (cells: readonly unknown[], line: number): Row => toRow(cells, line, columns, keyAt);
  async function* rows(after?: { readonly key: string; readonly rows: number }): AsyncGenerator<Row> {
    let last: string | undefined = after?.key;
    let line = after?.rows ?? 0;
    for (;;) {
      const where = last === undefined ? `${key} IS NOT NULL` : `${key} > ${parameter}`;
      const page = await source
        .readAgain(
          `SELECT * FROM ${inner} WHERE ${where} ORDER BY ${key} LIMIT ${PAGE_ROWS}`,
          last === undefined ? [] : [last],
        )
        .catch((error: Error) => {
          throw new UnreadableRowsError(
            `The database cannot be read any further: ${reasonOf(error)}. ${databaseAdvice(error)}`,
          );
        });
      for (const cells of page.rows) {
        const row = rowOf(cells, ++line);
        if (row.key === last && last !== undefined)
          throw new UnreadableRowsError(
            `Several rows have the ${keyName} ${row.key}, but it must be unique, as pages of rows follow each other by it. Name a unique column: --key COLUMN.`,
          );
        last = row.key;
        yield row;
      }
      if (page.rows.length < PAGE_ROWS) return;
    }
  }
  return {
    ...{ format: 'csv', encoding: 'utf-8', header, columns, rows },
    origin: `Query of ${shownAddress(settings)}`,
    unused: unusedColumns(header, columns),
    bytes: { readBytes: 0, totalBytes: undefined, isGzip: false },
    async again(keys) {
      const reply = await source.readAgain(`SELECT * FROM ${inner} WHERE ${isAny}`, [keys]);
      return reply.rows.map((cells, at) => rowOf(cells, at + 1));
    },
    close: () => void source.end(),
  };
}

/** A session that is opened when it is needed. */
function createSource(settings: DatabaseSettings) {
  let session: Session | undefined;
  let isOver = false;
  const close = async (): Promise<void> => {
    const open = session;
    session = undefined;
    await open?.close();
  };
  const read = async (sql: string, values: readonly unknown[]): Promise<Reply> => {
    if (isOver) throw new Error('the reading was stopped');
    if (session === undefined) {
      session = await openDatabase(settings);
      await session.query(READ_ONLY[settings.dialect]);
    }
    return session.query(sql, values);
  };
  return {
    read,
    /** Nothing is read from now on. */
    async end(): Promise<void> {
      isOver = true;
      await close();
    },
    /** The same, but an error is tried again, with a new session. */
    async readAgain(sql: string, values: readonly unknown[]): Promise<Reply> {
      for (let tries = 1; ; tries++) {
        try {
          return await read(sql, values);
        } catch (error) {
          await close();
          if (isOver || tries === TRIES || isOfQuery(error as Error)) throw error;
          await sleep(RETRY_MS * tries);
        }
      }
    },
  };
}

/** Whether the words of the query are wrong: trying again does not help. */
function isOfQuery(error: Error): boolean {
  const { code = '' } = error as NodeJS.ErrnoException;
  return (
    /^(42|22|25006|0A)/.test(code) ||
    /^ER_(PARSE|BAD_FIELD|NO_SUCH|DUP_FIELD|NON_UNIQ|CANT_EXECUTE)/.test(code)
  );
}

function toRow(cells: readonly unknown[], line: number, columns: FieldMap<number>, keyAt: number): Row {
  const texts = cells.map(textOf);
  const user = Object.fromEntries([...columns].map(([field, at]) => [field, texts[at]]));
  return { line, user: user as UserFacts, raw: texts, key: texts[keyAt] ?? '' };
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
