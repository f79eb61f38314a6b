import type { Config, ReadFile } from '../config/config.ts';
import { openDatabase } from '../database/open-database.ts';
import { databaseSettings } from '../database/settings.ts';
import type { AppRedis } from '../redis/keys.ts';
import type { FollowedTable } from './followed-table.ts';
import type { Outbox } from './outbox.ts';

/** What is followed in place of an outbox; undefined for the outbox. */
export type Source = FollowedTable | undefined;

/**
 * Opens a session with the configured database, on its outbox or on a table that is followed. The driver is
 * loaded now. Rejects with the driver's error, DatabaseUnfitError or ConfigError.
 */
export async function openOutbox(
  config: Config,
  readFile: ReadFile,
  app: AppRedis,
  source: Source,
  onWake: () => void,
): Promise<Outbox> {
  const session = await openDatabase(databaseSettings(config, readFile));
  const { table, keepMs } = config.relay;
  const options = { table, keepMs, onWake };
  try {
    if (source !== undefined) {
      const { openFollowedTable } = await import('./followed-table.ts');
      return await openFollowedTable(session, source, app);
    }
    if (session.dialect === 'postgres') {
      const { openPostgresOutbox } = await import('./postgres-outbox.ts');
      return await openPostgresOutbox(session, options);
    }
    const { openMysqlOutbox } = await import('./mysql-outbox.ts');
    return await openMysqlOutbox(session, options);
  } catch (error) {
    await session.close();
    throw error;
  }
}
