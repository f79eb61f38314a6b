import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import mysqlCallbacks from 'mysql2';
import { InvalidUserError, insert, statement } from '../../src/outbox.ts';
import { describeWithDatabases } from '../support/database-user.ts';
import { eventually } from '../support/eventually.ts';
import { startMariadb, type TestMariadb } from '../support/mariadb-server.ts';
import { startPostgres, type TestPostgres } from '../support/postgres-server.ts';
import { imsyncRun } from '../support/process.ts';

/** The package's entry for apps that write an outbox, with the clients that they use, and the example. */
const root = fileURLToPath(new URL('../..', import.meta.url));
const USER = { userId: 'alice', nick: '爱丽丝', traceparent: '00-0123', type: 0 } as const;
let postgres: TestPostgres;
let mariadb: TestMariadb;

describeWithDatabases('rows of the outbox', () => {
  beforeAll(async () => {
    [postgres, mariadb] = await Promise.all([startPostgres(), startMariadb()]);
    for (const url of [postgres.url, mariadb.url]) {
      const init = ['relay', 'init', '--apply'];
      expect((await imsyncRun(init, { IMSYNC_SDK_APP_ID: '1', IMSYNC_DATABASE_URL: url })).code).toBe(0);
    }
  }, 120_000);
  afterAll(() => Promise.all([postgres?.stop(), mariadb?.stop()]));

  test('pg: the row is part of the transaction', async () => {
    const client = await postgres.connect();
    await client.query('BEGIN');
    await insert(client, USER);
    await expect(insert(client, { userId: 'has blank' })).rejects.toBeInstanceOf(InvalidUserError);
    await client.query('ROLLBACK');
    await insert(client, USER, { table: 'public.imsync_outbox' });
    const { rows } = await client.query('SELECT user_id, nick, type, trace_parent FROM imsync_outbox');
    expect(rows).toEqual([{ user_id: 'alice', nick: '爱丽丝', type: null, trace_parent: '00-0123' }]);
    await client.end();
  });

  test('mysql2: connections with promises and with callbacks', async () => {
    const connection = await mariadb.connect();
    await connection.beginTransaction();
    await insert(connection, USER);
    await connection.rollback();
    await insert(connection, USER);
    const { host, port, user, password, database } = connection.config as unknown as Record<string, string>;
    await connection.end();
    const withCallbacks = mysqlCallbacks.createConnection({
      ...{ host, user, password: password || 'my-p@ss:word/1', database },
      port: Number(port),
    });
    await insert(withCallbacks, { ...USER, userId: 'bob', type: 1 });
    const [rows] = await withCallbacks.promise().query('SELECT user_id, type FROM imsync_outbox ORDER BY id');
    expect(rows).toEqual([
      { user_id: 'alice', type: null },
      { user_id: 'bob', type: 1 },
    ]);
    withCallbacks.destroy();
  });

  test('a statement for other libraries; a table that is no name is refused', () => {
    expect(statement({ userId: 'a', faceUrl: 'f', nick: '' }, 'postgres')).toEqual({
      sql: 'INSERT INTO imsync_outbox (user_id, face_url) VALUES ($1, $2)',
      values: ['a', 'f'],
    });
    expect(statement({ userId: 'a' }, 'mysql').sql).toBe('INSERT INTO imsync_outbox (user_id) VALUES (?)');
    expect(() => statement({ userId: 'a' }, 'mysql', { table: 'x; DROP TABLE y' })).toThrow(RangeError);
  });

  test('the example of a signup writes the user and its row together', async () => {
    const example: ChildProcess = spawn(process.execPath, ['examples/outbox-signup.js'], {
      cwd: root,
      env: { PATH: process.env.PATH ?? '', IMSYNC_DATABASE_URL: postgres.url, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    example.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    try {
      const url = await eventually('it listens', () => /Server listening at (http:[^"]+)/.exec(output)?.[1]);
      const post = async (path: string, body: object) => {
        const headers = { 'content-type': 'application/json' };
        const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
        return { status: response.status, ...((await response.json()) as { userId: string }) };
      };
      const { status, userId } = await post('/signup', { name: 'Ann' });
      expect(status).toBe(201);
      expect((await post('/rename', { userId, name: 'Anna' })).status).toBe(200);
      expect((await post('/rename', { userId: 'nobody', name: 'A' })).status).toBe(404);
      const client = await postgres.connect();
      const rows = await client.query('SELECT nick FROM imsync_outbox WHERE user_id = $1 ORDER BY id', [
        userId,
      ]);
      expect(rows.rows).toEqual([{ nick: 'Ann' }, { nick: 'Anna' }]);
      const signups = await client.query('SELECT name FROM signups WHERE id = $1', [userId]);
      expect(signups.rows).toEqual([{ name: 'Anna' }]);
      // Without the row of the outbox there is no user.
      await client.query('ALTER TABLE imsync_outbox RENAME TO not_there');
      expect((await post('/signup', { name: 'Lost' })).status).toBe(500);
      await client.query('ALTER TABLE not_there RENAME TO imsync_outbox');
      expect((await client.query("SELECT 1 FROM signups WHERE name = 'Lost'")).rows).toEqual([]);
      await client.end();
    } finally {
      example.kill('SIGTERM');
    }
  });
});
