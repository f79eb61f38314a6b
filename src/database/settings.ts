import { type Config, ConfigError, type ReadFile } from '../config/config.ts';
import { databaseUrl, readDatabaseUrl } from '../config/database-url.ts';
import { readSecret } from '../config/secrets.ts';
import type { DatabaseSettings } from './database.ts';

/**
 * Reads the database's settings from the configuration and from the files of address and CA certificate. The
 * file is read again for each session, since a password may change. `address` replaces the configured one.
 * Throws ConfigError.
 */
export function databaseSettings(config: Config, readFile: ReadFile, address = ''): DatabaseSettings {
  const { url, urlFile, caFile } = config.database;
  const problems: string[] = [];
  const variable = 'IMSYNC_DATABASE_URL_FILE';
  const given = address || readSecret(url, urlFile, variable, databaseUrl, readFile, problems);
  const parts = given === undefined ? undefined : readDatabaseUrl(given);
  if (parts === undefined && problems.length === 0)
    problems.push(
      'IMSYNC_DATABASE_URL is not given; set it (or IMSYNC_DATABASE_URL_FILE) to the address of the database, such as postgres://imsync:password@db.example/app.',
    );
  if (parts === undefined) throw new ConfigError(problems);
  try {
    return { ...parts, ca: caFile === '' ? '' : readFile(caFile) };
  } catch (error) {
    throw new ConfigError([
      `The file of IMSYNC_DATABASE_CA_FILE cannot be read: ${(error as Error).message}.`,
    ]);
  }
}
