import type { DatabaseAddress, Dialect } from '../config/database-url.ts';

export interface DatabaseSettings extends DatabaseAddress {
  /** The CA certificates as PEM text. '' means the system's authorities. */
  readonly ca: string;
  /** Certificate and key of the client as PEM texts. '' means none. */
  readonly cert: string;
  readonly key: string;
}

/** What a statement answered. */
export interface Reply {
  /** Names of the columns. */
  readonly columns: readonly string[];
  /** The values by place. Whole numbers of 64 bits are texts. */
  readonly rows: readonly (readonly unknown[])[];
  /** Rows that an INSERT, UPDATE or DELETE changed. */
  readonly changed: number;
}

/**
 * One connection to the database: a session of its own, without a pool. It is never made again: who loses it
 * opens another one, since the locks of a session end with it.
 */
export interface Session {
  readonly dialect: Dialect;
  /** Such as `PostgreSQL 15.14`. */
  readonly server: string;
  /**
   * Runs one statement. Parameters are written `$1`, `$2` … for PostgreSQL and `?` for MySQL. A statement with
   * a `name` is prepared once. Rejects with the driver's error, and at the latest after `STATEMENT_MS`.
   */
  query(sql: string, values?: readonly unknown[], name?: string): Promise<Reply>;
  /** PostgreSQL only: calls `onNotice` at each NOTIFY on the channel. */
  listen(channel: string, onNotice: () => void): Promise<void>;
  /** Set once the connection is gone. */
  readonly lostBy: string | undefined;
  /** Closes it. Waits at most a second, never rejects. */
  close(): Promise<void>;
}

/** A statement that takes longer has hung: the session is given up. */
export const STATEMENT_MS = 60_000;
export const CONNECT_MS = 5_000;

/** The database cannot be used as it is; waiting does not help. The message says what to change. */
export class DatabaseUnfitError extends Error {
  override readonly name = 'DatabaseUnfitError';
}

/** Loads a driver, which may have been left out at the installation. */
export async function loadDriver<T>(load: () => Promise<T>, name: string): Promise<T> {
  return load().catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new DatabaseUnfitError(
      `The driver ${name} is not installed: it was left out as an optional dependency. Install it: npm install ${name}.`,
    );
  });
}

/**
 * How a TLS connection is made and checked; undefined for one without TLS. An authority that is given is asked for,
 * also with `sslmode=require`. Files without an sslmode mean verify-full.
 */
export function tlsOptions({ sslMode, host, ca, cert, key }: DatabaseSettings) {
  const mode = sslMode ?? (ca + cert === '' ? 'disable' : 'verify-full');
  if (mode === 'disable' || host.startsWith('/')) return undefined;
  return {
    rejectUnauthorized: mode !== 'require' || ca !== '',
    verifyIdentity: mode === 'verify-full',
    ...(ca !== '' && { ca }),
    ...(cert !== '' && { cert, key }),
  };
}

/** Quotes the name of a column. */
export function quoteColumn(dialect: Dialect, name: string): string {
  const mark = dialect === 'postgres' ? '"' : '`';
  return mark + name.replaceAll(mark, mark + mark) + mark;
}

/** Quotes the name of a table; `schema.table` is two names. */
export function quoteTable(dialect: Dialect, name: string): string {
  return name
    .split('.')
    .map((part) => quoteColumn(dialect, part))
    .join('.');
}

/** What to do about a database that cannot be used, by the error. */
export function databaseAdvice(error: Error): string {
  if (error instanceof DatabaseUnfitError) return '';
  const text = `${(error as NodeJS.ErrnoException).code ?? ''} ${error.message}`;
  return (
    ADVICE.find(([words]) => words.test(text))?.[1] ??
    'Check IMSYNC_DATABASE_URL, and that the database runs there.'
  );
}

const ADVICE: readonly (readonly [words: RegExp, todo: string])[] = [
  [
    /no encryption$|SSL off|ER_SECURE_TRANSPORT_REQUIRED|insecure transport/i,
    'The server wants TLS: end IMSYNC_DATABASE_URL with ?sslmode=verify-full, and name a private authority by IMSYNC_DATABASE_CA_FILE.',
  ],
  [
    /valid client certificate|certificate required|ER_ACCESS_DENIED.*X509/i,
    'The server wants a client certificate: IMSYNC_DATABASE_CERT_FILE and IMSYNC_DATABASE_KEY_FILE.',
  ],
  [
    /28P01|28000|ER_ACCESS_DENIED|password authentication|no pg_hba|SASL/i,
    'Check user and password in IMSYNC_DATABASE_URL (or its _FILE), whether the server lets this host in, and whether it wants TLS: ?sslmode=verify-full.',
  ],
  [
    /3D000|ER_BAD_DB_ERROR|ER_DBACCESS_DENIED/,
    'The database at the end of IMSYNC_DATABASE_URL does not exist, or its user has no right there: check the name, and the rights that imsync relay init prints.',
  ],
  [
    /42P01|ER_NO_SUCH_TABLE/,
    'Make the tables: imsync relay init --apply. Another name is set by IMSYNC_RELAY_TABLE.',
  ],
  [/42703|ER_BAD_FIELD_ERROR/, 'Compare the columns with those that imsync relay init prints.'],
  [
    /42501|ER_TABLEACCESS_DENIED|ER_COLUMNACCESS_DENIED|ER_SPECIFIC_ACCESS/,
    'Give the user the rights that imsync relay init prints.',
  ],
  [
    /certificate has expired|not yet valid/,
    "Renew the database's certificate, and check this machine's clock.",
  ],
  [
    /altnames|does not match/,
    "The database's certificate is for another name: use that name in IMSYNC_DATABASE_URL, or sslmode=verify-ca.",
  ],
  [
    /certificate|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO/,
    "The authority that signed the database's certificate is not known here: set IMSYNC_DATABASE_CA_FILE to its certificate.",
  ],
  [
    /does not support SSL|HANDSHAKE_NO_SSL_SUPPORT|secure connection/,
    'The server has no TLS: take sslmode out of IMSYNC_DATABASE_URL, or turn TLS on there.',
  ],
  [
    /22P05|22021/,
    'A row holds bytes that are no text in the encoding of the database: find the row in the table, and mend or delete it. The rows behind it wait.',
  ],
  [/53300|ER_CON_COUNT_ERROR|too many/i, 'The database has no free connection: raise its limit.'],
];

/** The words of an error without what a driver may quote of the address. One line. */
export function reasonOf(error: unknown): string {
  const { message = '', code } = error as NodeJS.ErrnoException;
  const own = error instanceof AggregateError ? error.errors.map((one) => one.message).join(', ') : message;
  return (own || String(code ?? error)).replace(/\s+/g, ' ').slice(0, 500);
}
