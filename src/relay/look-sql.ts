import type { Dialect } from '../config/database-url.ts';
import { PROFILE_CHARS, SHORT_CHARS } from './outbox.ts';

/**
 * The look: the lowest rows of an outbox, as `rowOf` reads them, then the database's clock in ms and the number of
 * the session. `table` is quoted.
 *
 * The order is that of the column, by its full name: `ORDER BY id` alone may mean the text of the answer's first
 * column, which puts 10 before 9 and sorts the whole table at each look.
 */
export function takeSql(dialect: Dialect, table: string, sessionId: string, limit: number): string {
  const [id, createdAtMs, nowMs] =
    dialect === 'postgres'
      ? [
          'o.id::text',
          '(extract(epoch FROM o.created_at) * 1000)::float8',
          '(extract(epoch FROM clock_timestamp()) * 1000)::float8',
        ]
      : ['CAST(o.id AS CHAR)', 'UNIX_TIMESTAMP(o.created_at) * 1000', 'UNIX_TIMESTAMP(SYSDATE(6)) * 1000'];
  const texts = [
    `LEFT(o.user_id, ${SHORT_CHARS})`,
    `LEFT(o.nick, ${PROFILE_CHARS})`,
    `LEFT(o.face_url, ${PROFILE_CHARS})`,
    'o.type',
    `LEFT(o.trace_parent, ${SHORT_CHARS})`,
  ];
  const columns = [id, ...texts, createdAtMs, nowMs, sessionId];
  return `SELECT ${columns.join(', ')} FROM ${table} AS o ORDER BY o.id LIMIT ${Math.trunc(limit)}`;
}

/** The highest number of an outbox as text, NULL for an empty one. It costs one step down the index. */
export function highestSql(dialect: Dialect, table: string): string {
  return dialect === 'postgres'
    ? `SELECT max(id)::text FROM ${table}`
    : `SELECT CAST(MAX(id) AS CHAR) FROM ${table}`;
}
