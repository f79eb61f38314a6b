import { quoteTable, type Session } from '../database/database.ts';

/** Rows of a user that were erased, or would be. */
export interface ForgottenRows {
  readonly outbox: number;
  readonly archive: number;
}

/**
 * Erases a user's rows from the outbox and its archive. With `dryRun` they are only counted. Both tables are read from
 * end to end, since they have no index of users. Rejects with the driver's error.
 */
export async function forgetRows(
  session: Session,
  table: string,
  userId: string,
  dryRun: boolean,
): Promise<ForgottenRows> {
  const place = session.dialect === 'postgres' ? '$1' : '?';
  const erase = async (name: string): Promise<number> => {
    const where = `FROM ${quoteTable(session.dialect, name)} WHERE user_id = ${place}`;
    if (!dryRun) return (await session.query(`DELETE ${where}`, [userId])).changed;
    return Number((await session.query(`SELECT COUNT(*) ${where}`, [userId])).rows[0]?.[0] ?? 0);
  };
  return { outbox: await erase(table), archive: await erase(`${table}_archive`) };
}
