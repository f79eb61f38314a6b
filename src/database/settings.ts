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
  const { url, urlFile, caFile, certFile, keyFile } = config.database;
  const problems: string[] = [];
  const variable = 'IMSYNC_DATABASE_URL_FILE';
  const given = address || readSecret(url, urlFile, variable, databaseUrl, readFile, problems);
  const parts = given === undefined ? undefined : readDatabaseUrl(given);
  if (parts === undefined && problems.length === 0)
    problems.push(
      'IMSYNC_DATABASE_URL is not given; set it (or IMSYNC_DATABASE_URL_FILE) to the address of the database, such as postgres://imsync:password@db.example/app.',
    );
  if (parts === undefined) throw new ConfigError(problems);
  if (parts.sslMode === 'disable' && caFile + certFile !== '')
    problems.push(
      'A certificate of the database is given, but its address says sslmode=disable; write sslmode=verify-full, or leave the file out.',
    );
  if ((certFile === '') !== (keyFile === ''))
    problems.push(
      'IMSYNC_DATABASE_CERT_FILE and IMSYNC_DATABASE_KEY_FILE belong together; give both or none.',
    );
  const read = (path: string, name: string): string => {
    try {
      return path === '' ? '' : readFile(path);
    } catch (error) {
      problems.push(`The file of ${name} cannot be read: ${(error as Error).message}.`);
      return '';
    }
  };
  const ca = read(caFile, 'IMSYNC_DATABASE_CA_FILE');
  const cert = read(certFile, 'IMSYNC_DATABASE_CERT_FILE');
  const key = read(keyFile, 'IMSYNC_DATABASE_KEY_FILE');
  if (problems.length > 0) throw new ConfigError(problems);
  return { ...parts, ca, cert, key };
}
