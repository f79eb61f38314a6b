import { quoteTable, type Session } from '../database/database.ts';
import { type Outbox, type OutboxOptions, PROFILE_CHARS, rowOf, SHORT_CHARS } from './outbox.ts';
import { openTableLock } from './table-lock.ts';
import { INIT_TODO } from './table-sql.ts';

const COLUMNS = 'id, user_id, nick, face_url, type, trace_parent, created_at';

/** MySQL and MariaDB. Numbers go into the statements as text of digits: an IN list of parameters is slow. */
export async function openMysqlOutbox(session: Session, { table, keepMs }: OutboxOptions): Promise<Outbox> {
  const own = quoteTable('mysql', table);
  const archive = quoteTable('mysql', `${table}_archive`);
  const lock = await openTableLock(session, table, INIT_TODO);
  await openTableLock(session, `${table}_archive`, INIT_TODO);
  const inTransaction = async (work: () => Promise<void>): Promise<void> => {
    await session.query('START TRANSACTION');
    await work();
    await session.query('COMMIT');
  };
  const remove = (ids: string) => session.query(`DELETE FROM ${own} WHERE id IN (${ids})`);
  return {
    server: session.server,
    isWoken: false,
    lead: lock.take,
    async take(limit) {
      const { rows } = await session.query(
        `SELECT CAST(id AS CHAR), LEFT(user_id, ${SHORT_CHARS}), LEFT(nick, ${PROFILE_CHARS}), LEFT(face_url, ${PROFILE_CHARS}),
           type, LEFT(trace_parent, ${SHORT_CHARS}), UNIX_TIMESTAMP(created_at) * 1000,
           UNIX_TIMESTAMP(SYSDATE(6)) * 1000, ${lock.sessionId}
         FROM ${own} ORDER BY id LIMIT ${Math.trunc(limit)}`,
        [],
        'imsync-take',
      );
      const last = rows.at(-1);
      if (last !== undefined) lock.check(last[8]);
      return { rows: rows.map(rowOf), nowMs: Number(last?.[7] ?? 0) };
    },
    async done(taken) {
      const ids = digits(taken);
      if (keepMs === 0) {
        await remove(ids);
        return;
      }
      await inTransaction(async () => {
        await session.query(
          `INSERT INTO ${archive} (${COLUMNS}) SELECT ${COLUMNS} FROM ${own} WHERE id IN (${ids})`,
        );
        await remove(ids);
        await session.query(
          `DELETE FROM ${archive} WHERE reason IS NULL AND archived_at < SYSDATE(6) - INTERVAL ? MICROSECOND`,
          [keepMs * 1_000],
        );
      });
    },
    async aside(bad) {
      await inTransaction(async () => {
        for (const { id, reason } of bad)
          await session.query(
            `INSERT INTO ${archive} (${COLUMNS}, reason) SELECT ${COLUMNS}, ? FROM ${own} WHERE id = ?`,
            [reason, id],
          );
        await remove(digits(bad));
      });
    },
    async waiting(most) {
      const { rows } = await session.query(
        `SELECT COUNT(*) FROM (SELECT 1 FROM ${own} LIMIT ${Math.trunc(most) + 1}) counted`,
      );
      return Number(rows[0]?.[0]);
    },
    ping: lock.ping,
    close: () => session.close(),
  };
}

function digits(rows: readonly { readonly id: string }[]): string {
  return rows.map(({ id }) => BigInt(id)).join(',');
}
