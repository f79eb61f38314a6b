import { execFile } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { readDatabaseUrl } from '../../config/database-url.ts';
import type { Session } from '../../database/database.ts';
import { openDatabase } from '../../database/open-database.ts';
import type { UserInput } from '../../event/fields.ts';
import { tableStatements } from '../../relay/table-sql.ts';
import { CliError, EXIT } from '../fail.ts';
import type { Stage } from './stage.ts';

/** The database of `imsync demo --outbox`. It listens on a socket in the demo's folder and nowhere else. */

const run = promisify(execFile);

const WHAT_TO_INSTALL =
  'The demo with an outbox needs the programs of PostgreSQL 12 or newer: install them (Debian, Ubuntu: ' +
  'apt-get install --no-install-recommends postgresql) and start again.';

/** Starts PostgreSQL with an outbox and a table of users. Throws a CliError when it is not installed. */
export async function startPostgres(stage: Stage): Promise<Session> {
  const programs = folderOfPrograms();
  const folder = join(stage.folder, 'postgres');
  mkdirSync(folder, { mode: 0o700 });
  const owner = await ownerOfServer();
  if (owner !== undefined) {
    // Its user must pass through the demo's folder, and read nothing there.
    chmodSync(stage.folder, 0o711);
    chownSync(folder, owner.uid, owner.gid);
  }
  const data = join(folder, 'data');
  const options = { ...owner, cwd: folder, env: { ...process.env, LC_ALL: 'C' } };
  await run(join(programs, 'initdb'), ['-D', data, '-U', 'app', '-A', 'trust', '-E', 'UTF8'], options);
  stage.startServer('postgres', join(programs, 'postgres'), ['-D', data, '-h', '', '-k', folder], owner);
  const url = `postgres://app@${encodeURIComponent(folder)}/postgres`;
  stage.settings.IMSYNC_DATABASE_URL = url;
  const settings = readDatabaseUrl(url);
  if (settings === undefined)
    throw new RangeError('the address of the demo is none: a bug, please report it');
  const session = await stage.until('database', () =>
    openDatabase({ ...settings, ca: '', cert: '', key: '' }).catch(() => undefined),
  );
  await session.query('CREATE TABLE users (id text PRIMARY KEY, name text)');
  for (const { sql } of tableStatements('postgres', 'imsync_outbox', true)) await session.query(sql);
  return session;
}

/** Writes users and their rows of the outbox in one transaction. */
export async function signUp(session: Session, users: readonly UserInput[]): Promise<void> {
  const values = [
    users.map(({ userId }) => userId),
    users.map(({ nick }) => nick ?? null),
    users.map(({ faceUrl }) => faceUrl ?? null),
  ];
  const given =
    'unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS given (id, name, face_url, at)';
  await session.query('BEGIN');
  await session.query(
    `INSERT INTO users (id, name) SELECT DISTINCT ON (id) id, name FROM ${given} ORDER BY id, at DESC
     ON CONFLICT (id) DO UPDATE SET name = excluded.name`,
    values,
  );
  await session.query(
    `INSERT INTO imsync_outbox (user_id, nick, face_url) SELECT id, name, face_url FROM ${given} ORDER BY at`,
    values,
  );
  await session.query('COMMIT');
}

/** Users whose rows cannot be events: the relay has moved them aside, with the reason. */
export async function asideUsers(session: Session): Promise<ReadonlySet<string>> {
  const { rows } = await session.query('SELECT user_id FROM imsync_outbox_archive WHERE reason IS NOT NULL');
  return new Set(rows.map(([userId]) => String(userId)));
}

/** Debian keeps the programs of each version in a folder of its own, off the PATH. */
function folderOfPrograms(): string {
  const home = '/usr/lib/postgresql';
  const versions = existsSync(home) ? readdirSync(home).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(home, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ];
  const found = folders.find(
    (folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')),
  );
  if (found === undefined) throw new CliError(EXIT.outOfReach, WHAT_TO_INSTALL);
  return found;
}

/** PostgreSQL refuses to run as root: then it runs as the user that its package made. */
async function ownerOfServer(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = async (kind: string): Promise<number> => Number((await run('id', [kind, 'postgres'])).stdout);
  return { uid: await idOf('-u'), gid: await idOf('-g') };
}
