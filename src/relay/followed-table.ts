import type { Dialect } from '../config/database-url.ts';
import { quoteColumn, quoteTable, type Session } from '../database/database.ts';
import type { AppRedis } from '../redis/keys.ts';
import { type Outbox, PROFILE_CHARS, rowOf, SHORT_CHARS } from './outbox.ts';
import { readMark } from './relay-store.ts';
import { openTableLock, type TableLock } from './table-lock.ts';
import type { UserColumns } from './table-sql.ts';

/** A table of users that is followed by a column of changes. */
export interface FollowedTable extends UserColumns {
  /** A column that each change of a row sets to the time. Rows without a time are not seen. */
  readonly updated: string;
  /** Rows that changed less than this before the newest one are read again, in ms. */
  readonly overlapMs: number;
  /** True: begin with the oldest row. False: begin now. Counts only where nothing was followed before. */
  readonly fromStart: boolean;
}

/** How often the overlap is read again. */
const REWIND_EVERY_MS = 2_000;
/** How far a time without a zone may be ahead of UTC: the easternmost zone. */
const ZONE_US = 14n * 3_600_000_000n;
/** Times after it, and PostgreSQL's infinity, count as this one. us since 1970. */
const LATEST_US = 253_402_300_799_000_000n;

/**
 * Follows the table: at each look the rows that changed after the last one. Every two seconds it goes back by
 * the overlap, for transactions that ended late; a row that is known as it is does not count twice. Redis
 * keeps the time of the newest row, in the step that adds the rows. Times are us since 1970.
 *
 * A row is read as it is at the look, so of one user a later look has the newer profile. One whose time lies in
 * the future is taken, but moves nothing: else all changes until then would lie behind the newest and be missed.
 */
export async function openFollowedTable(
  session: Session,
  table: FollowedTable,
  app: AppRedis,
): Promise<Outbox> {
  const lock = await openTableLock(session, table.table, 'Name it with --from-table.');
  const rowsAfter = statement(session, table, lock);
  const aheadUs = (await hasZone(session, table)) ? 0n : ZONE_US;
  const mark = `table:${table.table}`;
  const overlap = BigInt(table.overlapMs) * 1_000n;
  /** The time of each row of the overlap that is done, by its number. */
  const known = new Map<string, bigint>();
  /** The same of the rows of the last look that are not done. */
  const open = new Map<string, bigint>();
  const close = (ids: readonly { readonly id: string }[]): void => {
    for (const { id } of ids) {
      const at = open.get(id);
      if (at !== undefined) known.set(id, at);
      open.delete(id);
    }
  };
  let newest: bigint | undefined;
  let place = { at: 0n, id: '' };
  /** Where the last look began. The next one begins there again if Redis did not get all of its rows. */
  let before = { place, newest: 0n };
  let rewoundAtMs = Number.NEGATIVE_INFINITY;
  const rewind = (to: bigint): void => {
    rewoundAtMs = performance.now();
    const at = to > overlap ? to - overlap : 0n;
    for (const [id, knownAt] of known) if (knownAt < at) known.delete(id);
    place = { at, id: '' };
  };
  return {
    server: session.server,
    isWoken: false,
    lead: lock.take,
    get mark() {
      return newest === undefined ? undefined : ([mark, String(newest)] as const);
    },
    async take(limit) {
      if (newest === undefined) {
        const stored = await readMark(app, mark);
        const latest = (await clock(session)) + aheadUs;
        newest = stored === null && table.fromStart ? 0n : BigInt(stored ?? latest);
        if (newest > latest) newest = latest;
        // Where the column has the time of an unknown zone, its own newest row is now.
        if (stored === null && !table.fromStart && aheadUs > 0n)
          newest = await newestUntil(session, table, latest);
        rewind(newest);
      }
      if (open.size > 0) {
        open.clear();
        ({ place, newest } = before);
      }
      before = { place, newest };
      for (;;) {
        const { rows } = await rowsAfter(place, limit);
        const last = rows.at(-1);
        if (last !== undefined) {
          lock.check(last[8]);
          place = { at: BigInt(String(last[9])), id: String(last[0]) };
          const latest = BigInt(Math.floor(Number(last[7]))) * 1_000n + aheadUs;
          for (const row of rows) {
            const at = BigInt(String(row[9]));
            if (at > newest && at <= latest) newest = at;
          }
        }
        const fresh = rows.filter(([id, ...rest]) => known.get(String(id)) !== BigInt(String(rest[8])));
        for (const [id, ...rest] of fresh) open.set(String(id), BigInt(String(rest[8])));
        const isEnd = rows.length < limit;
        if (isEnd && performance.now() - rewoundAtMs >= REWIND_EVERY_MS) rewind(newest);
        if (fresh.length > 0 || isEnd) return { rows: fresh.map(rowOf), nowMs: Number(last?.[7] ?? 0) };
      }
    },
    // The database is told nothing: Redis keeps the time of the newest row.
    async done(taken) {
      close(taken);
    },
    async aside(bad) {
      close(bad);
    },
    waiting: async () => 0,
    ping: lock.ping,
    close: () => session.close(),
  };
}

const CLOCK = {
  postgres: 'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text',
  mysql: 'SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS CHAR)',
};

async function clock(session: Session): Promise<bigint> {
  const { rows } = await session.query(CLOCK[session.dialect]);
  return BigInt(String(rows[0]?.[0]).split('.')[0] ?? 0);
}

/** Whether the column of changes has moments, and not the time of a zone that is known to the app alone. */
async function hasZone(session: Session, { table, updated }: FollowedTable): Promise<boolean> {
  if (session.dialect === 'postgres') {
    const { rows } = await session.query(
      "SELECT atttypid = 'timestamptz'::regtype FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2",
      [quoteTable('postgres', table), updated],
    );
    return rows[0]?.[0] === true;
  }
  const [, schema, bare = table] = /^([^.]+)\.(.+)$/.exec(table) ?? [];
  const { rows } = await session.query(
    `SELECT DATA_TYPE FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ? AND COLUMN_NAME = ?`,
    [schema ?? null, bare, updated],
  );
  return rows[0]?.[0] === 'timestamp';
}

/** The time of the newest row up to a moment; 0 without any. */
async function newestUntil(
  { dialect, query }: Session,
  table: FollowedTable,
  until: bigint,
): Promise<bigint> {
  const column = quoteColumn(dialect, table.updated);
  const [micros, type] = [microsOf(dialect, `MAX(${column})`), dialect === 'postgres' ? 'text' : 'CHAR'];
  const { rows } = await query(
    `SELECT CAST(${micros} AS ${type}) FROM ${quoteTable(dialect, table.table)} WHERE ${column} <= ${momentOf(dialect, until)}`,
  );
  return BigInt(String(rows[0]?.[0] ?? 0));
}

/** SQL for the time of a column, in us since 1970. MariaDB knows no such number for a time after 2038. */
function microsOf(dialect: Dialect, column: string): string {
  return dialect === 'postgres'
    ? `(extract(epoch FROM LEAST(${column}, ${momentOf(dialect, LATEST_US)})) * 1000000)::bigint`
    : `CAST(COALESCE(UNIX_TIMESTAMP(${column}) * 1000000, IF(${column} IS NULL, NULL, ${LATEST_US})) AS UNSIGNED)`;
}

/** SQL for a time that is given in us since 1970. */
function momentOf(dialect: Dialect, us: bigint): string {
  const seconds = `${us / 1_000_000n}.${String(us % 1_000_000n).padStart(6, '0')}`;
  return dialect === 'postgres'
    ? `(timestamptz 'epoch' + interval '${seconds} seconds')`
    : `FROM_UNIXTIME(${seconds})`;
}

/** Reads the rows after a place, in the order of their changes. */
function statement(session: Session, table: FollowedTable, lock: TableLock) {
  const { dialect } = session;
  const isPostgres = dialect === 'postgres';
  const quote = (name: string): string => quoteColumn(dialect, name);
  const text = (name: string | undefined, chars: number): string =>
    name === undefined
      ? 'NULL'
      : `LEFT(${isPostgres ? `${quote(name)}::text` : `CAST(${quote(name)} AS CHAR)`}, ${chars})`;
  const [id, updated] = [quote(table.id), quote(table.updated)];
  const micros = microsOf(dialect, updated);
  const now = isPostgres ? 'extract(epoch FROM clock_timestamp())' : 'UNIX_TIMESTAMP(SYSDATE(6))';
  const columns = [
    ...[text(table.id, SHORT_CHARS), text(table.id, SHORT_CHARS)],
    ...[text(table.nick, PROFILE_CHARS), text(table.faceUrl, PROFILE_CHARS), 'NULL', 'NULL'],
    ...[
      `${micros} / 1000.0`,
      `${now} * 1000`,
      lock.sessionId,
      isPostgres ? `${micros}::text` : `CAST(${micros} AS CHAR)`,
    ],
  ];
  return (place: { readonly at: bigint; readonly id: string }, limit: number) => {
    const at = momentOf(dialect, place.at);
    const later = place.id === '' ? '' : ` AND (${updated} > ${at} OR ${id} > ${isPostgres ? '$1' : '?'})`;
    return session.query(
      `SELECT ${columns.join(', ')} FROM ${quoteTable(dialect, table.table)}
       WHERE ${id} IS NOT NULL AND ${updated} >= ${at}${later} ORDER BY ${updated}, ${id} LIMIT ${Math.trunc(limit)}`,
      place.id === '' ? [] : [place.id],
    );
  };
}
