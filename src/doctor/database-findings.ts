import { type Config, ConfigError, type ReadFile } from '../config/config.ts';
import { shownAddress } from '../config/database-url.ts';
import {
  type DatabaseSettings,
  DatabaseUnfitError,
  databaseAdvice,
  quoteTable,
  reasonOf,
  type Session,
} from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';
import { databaseSettings } from '../database/settings.ts';
import type { AppRedis } from '../redis/keys.ts';
import { type RelayState, readRelay } from '../relay/relay-store.ts';
import { duration, type Finding, hint, notChecked, ok, skipped, wrong } from './finding.ts';

/** A relay that works gives a sign of life every 5 s. */
const RELAY_WITHIN_MS = 20_000;
/** A row that waits longer than this is not on its way. */
const OLD_ROW_MS = 60_000;
/** Deleted rows that the database could not remove. More of them make each look slow. */
const MANY_DEAD_ROWS = 1_000_000;

/** The findings about the database and its outbox. Nothing is connected if no database is configured. */
export async function examineDatabase(
  config: Config,
  readFile: ReadFile,
  app: AppRedis | undefined,
): Promise<Finding[]> {
  if (config.database.url === '' && config.database.urlFile === '')
    return [
      skipped(
        'database',
        'No database is configured',
        'For an outbox: IMSYNC_DATABASE_URL, and imsync relay',
      ),
    ];
  let settings: DatabaseSettings;
  try {
    settings = databaseSettings(config, readFile);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((problem) =>
      wrong('database', problem, 'See every setting and its source: imsync config', 'configuration'),
    );
  }
  const address = shownAddress(settings);
  const session = await openDatabase(settings).catch((error: Error) => error);
  if (session instanceof Error || !('query' in session)) {
    const cause = session instanceof DatabaseUnfitError ? 'configuration' : 'out-of-reach';
    const text = `The database cannot be used at ${address}: ${reasonOf(session)}`;
    const todo = databaseAdvice(session) || 'The sentence says what to change.';
    return [
      wrong('database.reachable', text, todo, cause),
      ...notChecked('database', 'it cannot be used').slice(1),
    ];
  }
  try {
    const state = app === undefined ? null : await readRelay(app).catch(() => null);
    return [
      ok('database.reachable', `${session.server} answers at ${address}`),
      ...encryptionFindings(settings),
      await outboxFinding(session, config.relay.table, state),
      ...(await deadRowFindings(session, config.relay.table)),
    ];
  } finally {
    await session.close();
  }
}

function encryptionFindings({ host, sslMode, ca }: DatabaseSettings): Finding[] {
  const isLocal = host.startsWith('/') || host === 'localhost' || host.startsWith('127.') || host === '::1';
  if (isLocal || ca !== '' || sslMode?.startsWith('verify')) return [];
  return [
    hint(
      'database.tls',
      sslMode === 'require'
        ? 'The connection to the database is encrypted, but nobody checks who answers: sslmode=verify-full does'
        : 'The connection to the database is not encrypted: ?sslmode=verify-full at the end of its address',
    ),
  ];
}

async function outboxFinding(session: Session, table: string, relay: RelayState | null): Promise<Finding> {
  const name = 'database.outbox';
  const quoted = quoteTable(session.dialect, table);
  const age =
    session.dialect === 'postgres'
      ? 'extract(epoch FROM clock_timestamp() - created_at)'
      : 'TIMESTAMPDIFF(SECOND, created_at, SYSDATE())';
  try {
    const { rows } = await session.query(`SELECT ${age} FROM ${quoted} ORDER BY id LIMIT 1`);
    const ageMs = rows[0] === undefined ? 0 : Number(rows[0][0]) * 1_000;
    const isWorking = relay !== null && Math.abs(Date.now() - relay.lastSeen) < RELAY_WITHIN_MS;
    const oldest = `the oldest row of ${table} has waited ${duration(ageMs)}`;
    if (ageMs > OLD_ROW_MS)
      return isWorking
        ? wrong(
            name,
            `A relay works, but ${oldest}`,
            'See its log, and imsync status: Redis may be full, or the intake.',
          )
        : wrong(name, `No relay works, and ${oldest}`, 'Start one: imsync relay');
    if (isWorking) return ok(name, `A relay works, and no row of ${table} waits for long`);
    return skipped(name, `No relay works; no row of ${table} has waited for long`, 'Start one: imsync relay');
  } catch (error) {
    return wrong(
      name,
      `The outbox ${table} cannot be read: ${reasonOf(error)}`,
      `${databaseAdvice(error as Error)} If only reconcile or --query use the database, nothing is missing.`,
    );
  }
}

/** PostgreSQL only: rows that a transaction which was left open keeps from being removed. */
async function deadRowFindings(session: Session, table: string): Promise<Finding[]> {
  if (session.dialect !== 'postgres') return [];
  const { rows } = await session.query(
    'SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = to_regclass($1)',
    [quoteTable('postgres', table)],
  );
  const dead = Number(rows[0]?.[0] ?? 0);
  if (dead < MANY_DEAD_ROWS) return [];
  return [
    wrong(
      'database.dead-rows',
      `${table} holds ${dead.toLocaleString('en-US')} deleted rows, over which each look steps`,
      'Find the transaction that has been open for long (pg_stat_activity, xact_start), end it, and VACUUM the table.',
    ),
  ];
}
