import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const hasBoth =
  existsSync('/usr/lib/postgresql') &&
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'mariadb-install-db')));

/** Undefined where the databases serve a benchmark. */
const { describe } = globalThis;

/** Tests of databases are skipped where Debian's postgresql or mariadb-server is missing, unless TEST_DATABASES is `must`. */
export const describeWithDatabases =
  hasBoth || process.env.TEST_DATABASES === 'must' ? describe : describe?.skip;

/** Databases refuse to run as root: then they run as the user that Debian's package made. */

const run = promisify(execFile);

/** Another user than root to run a server as; undefined when the tests themselves run as one. */
async function serverUser(name: string): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = async (kind: string): Promise<number> => Number((await run('id', [kind, name])).stdout);
  return { uid: await idOf('-u'), gid: await idOf('-g') };
}

export interface ServerHome {
  readonly folder: string;
  /** Runs a program to its end; rejects with its output. */
  run(program: string, args: readonly string[]): Promise<void>;
  spawn(program: string, args: readonly string[]): ChildProcess;
  /** Writes a file that the server alone may read, and answers its path. */
  write(name: string, text: string): Promise<string>;
  remove(): Promise<void>;
}

/** A folder of its own for a server that runs as `user`. */
export async function makeServerHome(user: string): Promise<ServerHome> {
  const ids = await serverUser(user);
  const folder = await mkdtemp(join(tmpdir(), `imsync-${user}-`));
  if (ids !== undefined) await chown(folder, ids.uid, ids.gid);
  const options = { ...ids, cwd: folder, env: { ...process.env, HOME: folder, LC_ALL: 'C' } };
  return {
    folder,
    async run(program, args) {
      await run(program, args, options);
    },
    spawn: (program, args) => spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] }),
    async write(name, text) {
      const path = join(folder, name);
      await writeFile(path, text, { mode: 0o600 });
      if (ids !== undefined) await chown(path, ids.uid, ids.gid);
      return path;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Ends a server by a signal; resolves when it has ended. */
export async function endServer(server: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    server.once('exit', () => resolve());
    server.kill(signal);
  });
}
