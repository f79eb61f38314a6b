import { type Config, ConfigError, type ReadFile } from '../config/config.ts';
import { shownAddress } from '../config/database-url.ts';
import {
  type DatabaseSettings,
  DatabaseUnfitError,
  databaseAdvice,
  reasonOf,
  type Session,
} from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';
import { databaseSettings } from '../database/settings.ts';
import type { AppRedis } from '../redis/keys.ts';
import { readRelay } from '../relay/relay-store.ts';
import { type Finding, hint, notChecked, ok, skipped, wrong } from './finding.ts';
import { outboxFindings } from './outbox-findings.ts';

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
      ...(await poolerFindings(session, settings)),
      ...(await outboxFindings({ session, table: config.relay.table, user: settings.user, relay: state })),
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

/**
 * A pooler in transaction mode hands the session of one client to the next one as soon as it is idle: then locks and
 * NOTIFY get lost, and the relay refuses to work. Two clients that are in one session prove it.
 */
async function poolerFindings(session: Session, settings: DatabaseSettings): Promise<Finding[]> {
  const own = session.dialect === 'postgres' ? 'SELECT pg_backend_pid()' : 'SELECT CONNECTION_ID()';
  const other = await openDatabase(settings).catch(() => undefined);
  if (other === undefined) return [];
  try {
    const ids = [await session.query(own), await other.query(own)].map(({ rows }) => String(rows[0]?.[0]));
    if (ids[0] !== ids[1]) return [];
    return [
      wrong(
        'database.pooler',
        'IMSYNC_DATABASE_URL leads through a pooler in transaction mode, which keeps neither locks nor LISTEN: no relay can work there',
        'Use its session mode, or the port of the server itself. reconcile and --query work through it.',
      ),
    ];
  } finally {
    await other.close();
  }
}
