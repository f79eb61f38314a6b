import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { Certificate } from './certificates.ts';
import { endServer, makeServerHome } from './database-user.ts';
import { eventually } from './eventually.ts';
import { freePort } from './redis-server.ts';

/** A PostgreSQL of the test's own: free loopback port, own folder, a password. */
export interface TestPostgres {
  readonly url: string;
  readonly port: number;
  /** Of the process that started all others of the server. */
  readonly pid: () => number;
  /** A connection of the test's own, which its caller ends. */
  connect(): Promise<pg.Client>;
  /** kill -9 of the server and all of its processes. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export const POSTGRES_PASSWORD = 'pg-p@ss:word/1';

/** Where Debian keeps the programs of the newest version. */
function program(name: string): string {
  const home = '/usr/lib/postgresql';
  const versions = existsSync(home) ? readdirSync(home).sort((a, b) => Number(b) - Number(a)) : [];
  return versions[0] === undefined ? name : join(home, versions[0], 'bin', name);
}

/** A standby that streams from the server of this address, until it is promoted. */
export function startStandby(url: string): Promise<TestPostgres> {
  return startPostgres([], undefined, url);
}

/** `tls`: it takes TLS alone, with this certificate; from the role `certified` it wants a client certificate. */
export async function startPostgres(
  settings: readonly string[] = [],
  tls?: Pick<Certificate, 'cert' | 'key' | 'ca'>,
  standbyOf?: string,
): Promise<TestPostgres> {
  const port = await freePort();
  const home = await makeServerHome('postgres');
  const data = join(home.folder, 'data');
  // Trust at first: the password is set over the socket, and required over TCP.
  if (standbyOf === undefined)
    await home.run(program('initdb'), ['-D', data, '-U', 'app', '-A', 'trust', '--no-sync', '-E', 'UTF8']);
  else
    await home.run(program('pg_basebackup'), ['-d', standbyOf, '-D', data, '-R', '--no-sync', '-c', 'fast']);
  const entries =
    tls === undefined
      ? ['host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256']
      : [
          'hostssl all certified 127.0.0.1/32 scram-sha-256 clientcert=verify-ca',
          'hostssl all all 127.0.0.1/32 scram-sha-256',
        ];
  await home.write('data/pg_hba.conf', ['local all all trust', ...entries, ''].join('\n'));
  const files =
    tls === undefined
      ? []
      : [
          ...['-c', 'ssl=on', '-c', `ssl_cert_file=${await home.write('server.pem', tls.cert)}`],
          ...['-c', `ssl_key_file=${await home.write('server.key', tls.key)}`],
          ...['-c', `ssl_ca_file=${await home.write('ca.pem', tls.ca)}`],
        ];
  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    // Processes of a killed server hold its memory for a moment, and a new one ends then.
    await eventually('PostgreSQL starts', async () => {
      try {
        await tryToStart();
        return true;
      } catch (error) {
        if (String(error).includes('still in use')) return false;
        throw error;
      }
    });
  };
  const tryToStart = async (): Promise<void> => {
    const own = ['-p', String(port), '-h', '127.0.0.1', '-k', home.folder, '-c', 'shared_buffers=64MB'];
    const started = home.spawn(program('postgres'), ['-D', data, ...own, ...files, ...settings]);
    server = started;
    let output = '';
    for (const stream of [started.stdout, started.stderr])
      stream?.on('data', (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-4_000);
      });
    await eventually(`PostgreSQL answers on port ${port}`, async () => {
      if (started.exitCode !== null) throw new Error(`PostgreSQL ended: ${output}`);
      const client = new pg.Client({ host: home.folder, port, user: 'app', database: 'postgres' });
      client.on('error', () => undefined);
      await client.connect();
      if (standbyOf === undefined) await client.query(`ALTER ROLE app PASSWORD '${POSTGRES_PASSWORD}'`);
      await client.end();
      return true;
    });
  };
  await start();
  const url = `postgres://app:${encodeURIComponent(POSTGRES_PASSWORD)}@127.0.0.1:${port}/postgres`;
  return {
    ...{ url, port, pid: () => server?.pid ?? 0 },
    async connect() {
      const client = new pg.Client({
        connectionString: url,
        ...(tls && { ssl: { ca: tls.ca, checkServerIdentity: () => undefined } }),
      });
      // A server that is killed ends it; a query then rejects.
      client.on('error', () => undefined);
      await client.connect();
      return client;
    },
    kill: () => endServer(server, 'SIGKILL'),
    restart: start,
    async stop() {
      await endServer(server, 'SIGQUIT');
      await home.remove();
    },
  };
}
