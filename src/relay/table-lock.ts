import { createHash } from 'node:crypto';
import { DatabaseUnfitError, quoteTable, type Session } from '../database/database.ts';

/** The upper half of the number of PostgreSQL's advisory lock; the table's own number is the lower half. */
const LOCK_CLASS = 0x696d_7379n;

/**
 * The lock by which one relay of a table works, and the others stand by. It belongs to the session and ends
 * with it.
 */
export interface TableLock {
  /** True once this session has it. */
  take(): Promise<boolean>;
  /** Throws DatabaseUnfitError when the answer came from another session than that of the lock. */
  check(sessionId: unknown): void;
  /** SQL for the number of the session, to be compared by `check`. */
  readonly sessionId: string;
  ping(): Promise<void>;
}

const SQL = {
  postgres: ['SELECT pg_try_advisory_lock($1), pg_backend_pid()', 'pg_backend_pid()'],
  mysql: ['SELECT GET_LOCK(?, 0), CONNECTION_ID()', 'CONNECTION_ID()'],
} as const;

/** Throws DatabaseUnfitError when the table does not exist. `todo` says how it comes to be. */
export async function openTableLock(session: Session, table: string, todo: string): Promise<TableLock> {
  const name = await lockName(session, table, todo);
  const [takeSql, sessionId] = SQL[session.dialect];
  let owner: string | undefined;
  const check = (of: unknown): void => {
    if (String(of) !== owner) throw new DatabaseUnfitError(POOLED);
  };
  return {
    sessionId,
    check,
    async take() {
      const { rows } = await session.query(takeSql, [name], 'imsync-lead');
      const [isTaken, id] = rows[0] ?? [];
      owner = String(id);
      return isTaken === true || Number(isTaken) === 1;
    },
    async ping() {
      const { rows } = await session.query(`SELECT ${sessionId}`);
      check(rows[0]?.[0]);
    },
  };
}

async function lockName(session: Session, table: string, todo: string): Promise<string> {
  const quoted = quoteTable(session.dialect, table);
  const missing = new DatabaseUnfitError(`The table ${table} does not exist there. ${todo}`);
  if (session.dialect === 'postgres') {
    const { rows } = await session.query('SELECT to_regclass($1)::oid::bigint', [quoted]);
    const oid = rows[0]?.[0] ?? null;
    if (oid === null) throw missing;
    return String((LOCK_CLASS << 32n) | BigInt(String(oid)));
  }
  const [, schema, bare = table] = /^([^.]+)\.(.+)$/.exec(table) ?? [];
  const { rows } = await session.query(
    'SELECT TABLE_SCHEMA FROM information_schema.TABLES WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ?',
    [schema ?? null, bare],
  );
  const found = rows[0]?.[0];
  if (found === undefined) throw missing;
  // Names of locks are those of the whole server, and have 64 characters at most.
  return `imsync:${createHash('sha1')
    .update(`${String(found)}.${bare}`)
    .digest('hex')}`;
}

const POOLED =
  'The session changes between two statements: IMSYNC_DATABASE_URL leads through a pooler in transaction mode, which keeps no locks. Use its session mode, or the port of the server itself.';
