import { quoteTable, type Session } from '../database/database.ts';
import { highestSql, takeSql } from './look-sql.ts';
import { estimateWaiting, type Outbox, type OutboxOptions, rowOf } from './outbox.ts';
import { RelayedNumbers } from './relayed-numbers.ts';
import { openTableLock } from './table-lock.ts';
import { INIT_TODO } from './table-sql.ts';

const COLUMNS = 'id, user_id, nick, face_url, type, trace_parent, created_at';

/** MySQL and MariaDB. Numbers go into the statements as text of digits: an IN list of parameters is slow. */
export async function openMysqlOutbox(session: Session, { table, keepMs }: OutboxOptions): Promise<Outbox> {
  const own = quoteTable('mysql', table);
  const archive = quoteTable('mysql', `${table}_archive`);
  const lock = await openTableLock(session, table, INIT_TODO);
  await openTableLock(session, `${table}_archive`, INIT_TODO);
  // Without the right to delete, rows would be relayed again and again.
  await session.query(`DELETE FROM ${own} WHERE 1 = 0`);
  const inTransaction = async (work: () => Promise<void>): Promise<void> => {
    await session.query('START TRANSACTION');
    await work();
    await session.query('COMMIT');
  };
  const numbers = new RelayedNumbers(table, () => givenNumber(session, table));
  const remove = (ids: string) => session.query(`DELETE FROM ${own} WHERE id IN (${ids})`);
  return {
    server: session.server,
    isWoken: false,
    numbers,
    get mark() {
      return numbers.mark;
    },
    lead: lock.take,
    async take(limit) {
      const { rows } = await session.query(takeSql('mysql', own, lock.sessionId, limit), [], 'imsync-take');
      const last = rows.at(-1);
      if (last !== undefined) lock.check(last[8]);
      const looked = rows.map(rowOf);
      numbers.add(looked);
      return { rows: looked, nowMs: Number(last?.[7] ?? 0) };
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
    async waiting(taken) {
      const { rows } = await session.query(highestSql('mysql', own));
      return estimateWaiting(taken, rows[0]?.[0] as string | null);
    },
    ping: lock.ping,
    close: () => session.close(),
  };
}

/** The highest number that the table's counter has given. */
async function givenNumber(session: Session, table: string): Promise<bigint | undefined> {
  // MySQL 8 would answer what it knew a day ago. MariaDB always looks.
  if (session.server.startsWith('MySQL'))
    await session.query('SET SESSION information_schema_stats_expiry = 0');
  const [, schema, bare = table] = /^([^.]+)\.(.+)$/.exec(table) ?? [];
  const { rows } = await session.query(
    `SELECT CAST(AUTO_INCREMENT AS CHAR) FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ?`,
    [schema ?? null, bare],
  );
  const next = rows[0]?.[0] ?? null;
  return next === null ? undefined : BigInt(String(next)) - 1n;
}

function digits(rows: readonly { readonly id: string }[]): string {
  return rows.map(({ id }) => BigInt(id)).join(',');
}
