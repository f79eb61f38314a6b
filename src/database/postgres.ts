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

const OLDEST = 120_000;
const CLOSE_MS = 1_000;

/**
 * What the session is set to. It does not wait for the disk: what it deletes may come back after a crash and
 * is done again. The server notices a client that vanished within half a minute, and ends its locks.
 */
const SETUP = `SELECT set_config('synchronous_commit', 'off', false), set_config('statement_timeout', '${STATEMENT_MS}', false),
  set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
  set_config('tcp_keepalives_count', '3', false), set_config('client_min_messages', 'warning', false), set_config('TimeZone', 'UTC', false),
  set_config('default_transaction_isolation', 'read committed', false), set_config('default_transaction_read_only', 'off', false)`;

/**
 * A process that hangs keeps its connection: its session ends when it asked nothing for so long, and another relay
 * takes over. Older servers than PostgreSQL 14 cannot do it.
 */
const SILENT_SQL = `SELECT set_config(name, '30000', false) FROM pg_settings WHERE name = 'idle_session_timeout'`;

/** The certificate may be for any name. */
const UNNAMED = { checkServerIdentity: () => undefined };

export async function openPostgres(settings: DatabaseSettings): Promise<Session> {
  const { default: pg } = await loadDriver(() => import('pg'), 'pg');
  const { host, port, user, password, database } = settings;
  const { verifyIdentity, ...tls } = tlsOptions(settings) ?? {};
  const client = new pg.Client({
    ...{ host, port, database },
    ...(user !== '' && { user }),
    ...(password !== '' && { password }),
    ssl: verifyIdentity === undefined ? false : { ...tls, ...(!verifyIdentity && UNNAMED) },
    application_name: 'imsync',
    connectionTimeoutMillis: CONNECT_MS,
    // Longer than the server's own limit, which cleans up better.
    query_timeout: STATEMENT_MS + 5_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  let lostBy: string | undefined;
  // Every statement at hand rejects as well, with its own words.
  client.on('error', (error) => {
    lostBy ??= reasonOf(error);
  });
  client.on('end', () => {
    lostBy ??= 'the connection was closed';
  });
  const query: Session['query'] = async (sql, values = [], name) => {
    // The driver would only say that it is closed, and not why.
    if (lostBy !== undefined) throw new Error(`the session was lost: ${lostBy}`);
    const { fields, rows, rowCount } = await client.query<unknown[], unknown[]>({
      ...{ text: sql, values: [...values], rowMode: 'array' },
      ...(name !== undefined && { name }),
    });
    return { columns: fields.map((field) => field.name), rows, changed: rowCount ?? 0 };
  };
  const close = async (): Promise<void> => {
    // A server that does not answer would keep `end` waiting.
    await Promise.race([client.end().catch(() => undefined), sleep(CLOSE_MS, undefined, { ref: false })]);
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  };
  try {
    await client.connect();
    await query(SETUP);
    await query(SILENT_SQL);
    const { rows } = await query(
      "SELECT current_setting('server_version_num')::int, current_setting('server_version'), pg_is_in_recovery()",
    );
    const [number, version, isReplica] = rows[0] ?? [];
    if (Number(number) < OLDEST)
      throw new DatabaseUnfitError(
        `PostgreSQL is ${version}: 12 or newer is needed, since an older one is no longer mended. Upgrade it.`,
      );
    if (isReplica === true)
      throw new DatabaseUnfitError(
        'The database is a replica and takes no writes. Point IMSYNC_DATABASE_URL at the primary.',
      );
    return {
      ...{ dialect: 'postgres', server: `PostgreSQL ${String(version).split(' ')[0]}`, query, close },
      async listen(channel, onNotice) {
        client.on('notification', onNotice);
        await query(`LISTEN ${channel}`);
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
