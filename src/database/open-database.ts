import type { DatabaseSettings, Session } from './database.ts';

/**
 * Opens a session. Only the driver of this database is loaded. Rejects with the driver's error when the
 * database cannot be reached, with DatabaseUnfitError when it cannot be used.
 */
export async function openDatabase(settings: DatabaseSettings): Promise<Session> {
  if (settings.dialect === 'postgres') {
    const { openPostgres } = await import('./postgres.ts');
    return openPostgres(settings);
  }
  const { openMysql } = await import('./mysql.ts');
  return openMysql(settings);
}
