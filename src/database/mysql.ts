import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CONNECT_MS,
  type DatabaseSettings,
  DatabaseUnfitError,
  loadDriver,
  reasonOf,
  type Session,
  STATEMENT_MS,
  tlsOptions,
} from './database.ts';

const CLOSE_MS = 1_000;
/** The server ends a session that asked nothing for so long, and its locks: the relay asks twice a second. */
const SILENT_SECONDS = 30;

/** It takes no locks beside the rows that are deleted, so no signup waits. */
const ISOLATION = 'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED';
/** Each statement is committed and a backslash escapes, as the driver expects, whatever the server is set to. */
const SETTINGS = `SET SESSION autocommit = 1, sql_mode = REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', ''), wait_timeout = ${SILENT_SECONDS}, time_zone = '+00:00'`;

export async function openMysql(settings: DatabaseSettings): Promise<Session> {
  const { createConnection } = await loadDriver(() => import('mysql2/promise'), 'mysql2');
  const { host, port, user, password, database } = settings;
  const ssl = tlsOptions(settings);
  // The driver would hold the certificate against the name `localhost`, whatever the address is.
  if (ssl?.verifyIdentity && isIP(host) !== 0)
    throw new DatabaseUnfitError(
      'sslmode=verify-full needs a name: put the one of the certificate into IMSYNC_DATABASE_URL in place of the IP address, or write sslmode=verify-ca.',
    );
  const client = await createConnection({
    ...(host.startsWith('/') ? { socketPath: host } : { host, port }),
    ...{ user, password, database },
    ...(ssl !== undefined && { ssl }),
    connectTimeout: CONNECT_MS,
    enableKeepAlive: true,
    keepAliveInitialDelay: 10_000,
    charset: 'utf8mb4_bin',
    timezone: 'Z',
    rowsAsArray: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
  });
  let lostBy: string | undefined;
  // Every statement at hand rejects as well, with its own words.
  client.on('error', (error: Error) => {
    lostBy ??= reasonOf(error);
  });
  client.on('end', () => {
    lostBy ??= 'the connection was closed';
  });
  const query: Session['query'] = async (sql, values = [], name) => {
    // The driver would only say that it is closed, and not why.
    if (lostBy !== undefined) throw new Error(`the session was lost: ${lostBy}`);
    const options = { sql, values: [...values], rowsAsArray: true, timeout: STATEMENT_MS };
    const [found, fields] = await (name === undefined ? client.query(options) : client.execute(options));
    if (!Array.isArray(found)) return { columns: [], rows: [], changed: found.affectedRows };
    return {
      columns: fields.map((field) => field.name),
      rows: found as unknown[][],
      changed: 0,
    };
  };
  const close = async (): Promise<void> => {
    await Promise.race([client.end().catch(() => undefined), sleep(CLOSE_MS, undefined, { ref: false })]);
    client.destroy();
  };
  try {
    await query(ISOLATION);
    await query(SETTINGS);
    const { rows } = await query('SELECT VERSION(), @@global.read_only');
    const [version, isReadOnly] = rows[0] ?? [];
    const server = serverOf(String(version));
    if (Number(isReadOnly) !== 0)
      throw new DatabaseUnfitError(
        'The database is read-only, as a replica is. Point IMSYNC_DATABASE_URL at the primary.',
      );
    return {
      ...{ dialect: 'mysql', server, query, close },
      async listen() {
        throw new RangeError('MySQL has no NOTIFY: a bug, please report it');
      },
      get lostBy() {
        return lostBy;
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The name of the server. Throws DatabaseUnfitError for one that is too old. */
function serverOf(version: string): string {
  const isMaria = /mariadb/i.test(version);
  const [major = 0, minor = 0] = version
    .replace(/^5\.5\.5-/, '')
    .split(/[.-]/)
    .map(Number);
  const name = `${isMaria ? 'MariaDB' : 'MySQL'} ${version.replace(/^5\.5\.5-/, '').split('-')[0]}`;
  const isNewEnough = isMaria ? major > 10 || (major === 10 && minor >= 6) : major >= 8;
  if (isNewEnough) return name;
  throw new DatabaseUnfitError(`${name} is too old: MySQL 8.0 or MariaDB 10.6 is needed. Upgrade it.`);
}
