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

/**
 * Follows the table: at each look the rows that changed after the last one. Every two seconds it goes back by
 * the overlap, for transactions that ended late; a row that is known as it is does not count twice. Redis
 * keeps the time of the newest row, in the step that adds the rows. Times are us since 1970.
 *
 * A row is read as it is at the look, so of one user a later look has the newer profile.
 */
export async function openFollowedTable(
  session: Session,
  table: FollowedTable,
  app: AppRedis,
): Promise<Outbox> {
  const lock = await openTableLock(session, table.table, 'Name it with --from-table.');
  const rowsAfter = statement(session, table, lock);
  const mark = `table:${table.table}`;
  const overlap = BigInt(table.overlapMs) * 1_000n;
  /** The time of each row of the overlap that was taken, by its number. */
  const known = new Map<string, bigint>();
  let newest: bigint | undefined;
  let place = { at: 0n, id: '' };
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
        newest = stored !== null ? BigInt(stored) : table.fromStart ? 0n : await clock(session);
        rewind(newest);
      }
      for (;;) {
        const { rows } = await rowsAfter(place, limit);
        const last = rows.at(-1);
        if (last !== undefined) {
          lock.check(last[8]);
          place = { at: BigInt(String(last[9])), id: String(last[0]) };
          if (place.at > newest) newest = place.at;
        }
        const fresh = rows.filter(([id, ...rest]) => known.get(String(id)) !== BigInt(String(rest[8])));
        for (const [id, ...rest] of fresh) known.set(String(id), BigInt(String(rest[8])));
        const isEnd = rows.length < limit;
        if (isEnd && performance.now() - rewoundAtMs >= REWIND_EVERY_MS) rewind(newest);
        if (fresh.length > 0 || isEnd) return { rows: fresh.map(rowOf), nowMs: Number(last?.[7] ?? 0) };
      }
    },
    // The time of the newest row is all that is kept, and Redis keeps it.
    async done() {},
    async aside() {},
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
  const micros = isPostgres
    ? `(extract(epoch FROM ${updated}) * 1000000)::bigint`
    : `CAST(UNIX_TIMESTAMP(${updated}) * 1000000 AS UNSIGNED)`;
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
    const seconds = `${place.at / 1_000_000n}.${String(place.at % 1_000_000n).padStart(6, '0')}`;
    const at = isPostgres
      ? `(timestamptz 'epoch' + interval '${seconds} seconds')`
      : `FROM_UNIXTIME(${seconds})`;
    const later = place.id === '' ? '' : ` AND (${updated} > ${at} OR ${id} > ${isPostgres ? '$1' : '?'})`;
    return session.query(
      `SELECT ${columns.join(', ')} FROM ${quoteTable(dialect, table.table)}
       WHERE ${updated} >= ${at}${later} ORDER BY ${updated}, ${id} LIMIT ${Math.trunc(limit)}`,
      place.id === '' ? [] : [place.id],
    );
  };
}
