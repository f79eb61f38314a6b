import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { type Connection, createConnection } from 'mysql2/promise';
import type { Certificate } from './certificates.ts';
import { endServer, makeServerHome } from './database-user.ts';
import { eventually } from './eventually.ts';
import { freePort } from './redis-server.ts';

/** A MariaDB of the test's own: free loopback port, own folder, a password. */
export interface TestMariadb {
  readonly url: string;
  readonly port: number;
  readonly pid: () => number;
  /** A connection of the test's own, which its caller ends. */
  connect(): Promise<Connection>;
  /** kill -9. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export const MARIADB_PASSWORD = 'my-p@ss:word/1';

/** `tls`: it takes TLS alone over TCP, with this certificate. */
export async function startMariadb(tls?: Pick<Certificate, 'cert' | 'key' | 'ca'>): Promise<TestMariadb> {
  const port = await freePort();
  const home = await makeServerHome('mysql');
  const data = join(home.folder, 'data');
  const socket = join(home.folder, 's');
  await home.run('mariadb-install-db', [
    ...['--no-defaults', `--datadir=${data}`, '--skip-test-db', '--auth-root-authentication-method=normal'],
  ]);
  const files =
    tls === undefined
      ? []
      : [
          ...[`--ssl-cert=${await home.write('server.pem', tls.cert)}`, '--require-secure-transport=ON'],
          `--ssl-key=${await home.write('server.key', tls.key)}`,
          `--ssl-ca=${await home.write('ca.pem', tls.ca)}`,
        ];
  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const started = home.spawn('/usr/sbin/mariadbd', [
      ...['--no-defaults', `--datadir=${data}`, `--socket=${socket}`, `--port=${port}`],
      ...['--bind-address=127.0.0.1', '--innodb-buffer-pool-size=64M', '--innodb-flush-log-at-trx-commit=1'],
      ...files,
    ]);
    server = started;
    let output = '';
    started.stderr?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4_000);
    });
    await eventually(`MariaDB answers on port ${port}`, async () => {
      if (started.exitCode !== null) throw new Error(`MariaDB ended: ${output}`);
      const client = await createConnection({ socketPath: socket, user: 'root' });
      await client.query('CREATE DATABASE IF NOT EXISTS app');
      await client.query(`CREATE USER IF NOT EXISTS app@'%' IDENTIFIED BY '${MARIADB_PASSWORD}'`);
      await client.query("GRANT ALL ON app.* TO app@'%' WITH GRANT OPTION");
      await client.query("GRANT ALL ON elsewhere.* TO app@'%'");
      await client.query("GRANT CREATE USER, SUPER ON *.* TO app@'%'");
      await client.end();
      return true;
    });
  };
  await start();
  const url = `mysql://app:${encodeURIComponent(MARIADB_PASSWORD)}@127.0.0.1:${port}/app`;
  return {
    ...{ url, port, pid: () => server?.pid ?? 0 },
    async connect() {
      const client = await createConnection({
        ...{ host: '127.0.0.1', port, user: 'app', password: MARIADB_PASSWORD, database: 'app' },
        multipleStatements: true,
        ...(tls && { ssl: { ca: tls.ca } }),
      });
      client.on('error', () => undefined);
      return client;
    },
    kill: () => endServer(server, 'SIGKILL'),
    restart: start,
    async stop() {
      await endServer(server, 'SIGTERM');
      await home.remove();
    },
  };
}
