import { quoteTable, type Session } from '../database/database.ts';
import { highestSql, takeSql } from './look-sql.ts';
import { estimateWaiting, type Outbox, type OutboxOptions, rowOf } from './outbox.ts';
import { RelayedNumbers } from './relayed-numbers.ts';
import { openTableLock } from './table-lock.ts';
import { channelOf, INIT_TODO } from './table-sql.ts';

const COLUMNS = 'id, user_id, nick, face_url, type, trace_parent, created_at';

/** Whether the counter of the table may be read, and how far it is; NULL for one that was never used. */
const GIVEN_SQL = `SELECT has_sequence_privilege(s.id, 'SELECT, USAGE'),
  CASE WHEN has_sequence_privilege(s.id, 'SELECT, USAGE') THEN pg_sequence_last_value(s.id)::text END
  FROM (SELECT pg_get_serial_sequence($1, 'id')::regclass AS id) s`;

export async function openPostgresOutbox(
  session: Session,
  { table, keepMs, onWake }: OutboxOptions,
): Promise<Outbox> {
  const own = quoteTable('postgres', table);
  const archive = quoteTable('postgres', `${table}_archive`);
  const lock = await openTableLock(session, table, INIT_TODO);
  await openTableLock(session, `${table}_archive`, INIT_TODO);
  // Without the right to delete, rows would be relayed again and again.
  await session.query(`DELETE FROM ${own} WHERE 1 = 0`);
  const { rows } = await session.query(
    "SELECT 1 FROM pg_trigger WHERE tgrelid = $1::regclass AND tgname = 'imsync_notify' AND tgenabled <> 'D'",
    [own],
  );
  const isWoken = rows.length > 0;
  const numbers = new RelayedNumbers(table, async () => {
    const { rows: found } = await session.query(GIVEN_SQL, [own]);
    const [mayRead, given] = found[0] ?? [];
    return mayRead === true ? BigInt(String(given ?? 0)) : undefined;
  });
  const move = (given: string, reason: string): string =>
    `WITH gone AS (DELETE FROM ${own} o USING ${given} WHERE o.id = given.id RETURNING o.*, ${reason} AS reason)
     INSERT INTO ${archive} (${COLUMNS}, reason) SELECT ${COLUMNS}, reason FROM gone`;
  return {
    server: session.server,
    isWoken,
    numbers,
    get mark() {
      return numbers.mark;
    },
    async lead() {
      if (!(await lock.take())) return false;
      if (isWoken) await session.listen(channelOf(table), onWake);
      return true;
    },
    async take(limit) {
      const { rows: found } = await session.query(
        takeSql('postgres', own, lock.sessionId, limit),
        [],
        `imsync-take-${limit}`,
      );
      const last = found.at(-1);
      if (last !== undefined) lock.check(last[8]);
      const looked = found.map(rowOf);
      numbers.add(looked);
      return { rows: looked, nowMs: Number(last?.[7] ?? 0) };
    },
    async done(taken) {
      const ids = taken.map(({ id }) => id);
      if (keepMs === 0) {
        await session.query(`DELETE FROM ${own} WHERE id = ANY($1::bigint[])`, [ids], 'imsync-done');
        return;
      }
      const given = '(SELECT unnest($1::bigint[]) AS id) given';
      await session.query(move(given, 'NULL::text'), [ids], 'imsync-keep');
      await session.query(
        `DELETE FROM ${archive} WHERE reason IS NULL AND archived_at < clock_timestamp() - $1 * interval '1 ms'`,
        [keepMs],
        'imsync-purge',
      );
    },
    async aside(bad) {
      const given = '(SELECT unnest($1::bigint[]) AS id, unnest($2::text[]) AS reason) given';
      await session.query(move(given, 'given.reason'), [
        bad.map(({ id }) => id),
        bad.map(({ reason }) => reason),
      ]);
    },
    async waiting(taken) {
      const { rows: found } = await session.query(highestSql('postgres', own));
      return estimateWaiting(taken, found[0]?.[0] as string | null);
    },
    ping: lock.ping,
    close: () => session.close(),
  };
}
