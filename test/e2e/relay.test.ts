import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readDatabaseUrl } from '../../src/config/database-url.ts';
import { openDatabase } from '../../src/database/open-database.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { highestSql, takeSql } from '../../src/relay/look-sql.ts';
import { describeWithDatabases } from '../support/database-user.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_PASSWORD } from '../support/mariadb-server.ts';
import {
  type AppDatabase,
  eventsFrom,
  type OutboxStage,
  rowsStatement,
  setOutboxStage,
} from '../support/outbox-stage.ts';
import { POSTGRES_PASSWORD } from '../support/postgres-server.ts';
import { type ImsyncProcess, imsync } from '../support/process.ts';
import { simulatorForTest, TEST_APP } from '../support/simulator.ts';
import { endAll, linesOf, logOf } from '../support/stage.ts';

const tellDrivers = fileURLToPath(new URL('../support/tell-drivers.js', import.meta.url));
const keys = keysOf(TEST_APP.sdkAppId);

async function opsOf(process: ImsyncProcess, path: string): Promise<{ status: number; text: string }> {
  const { url } = await process.line('ops server listens: /livez, /readyz, /status, /metrics');
  const response = await fetch(`${url}${path}`);
  return { status: response.status, text: await response.text() };
}

describeWithDatabases.each<AppDatabase['kind']>(['PostgreSQL', 'MariaDB'])('%s', (kind) => {
  let stage: OutboxStage;
  const started: ImsyncProcess[] = [];
  beforeAll(async () => {
    stage = await setOutboxStage(kind);
  }, 120_000);
  afterAll(async () => {
    await endAll(started);
    await stage?.end();
  }, 120_000);
  beforeEach(async () => {
    await endAll(started.splice(0));
    await stage.client.flushall();
    await stage.app.query('DELETE FROM imsync_outbox');
  });
  const relay = async (...args: Parameters<OutboxStage['relay']>): Promise<ImsyncProcess> => {
    const one = await stage.relay(...args);
    started.push(one);
    return one;
  };

  test('a row that commits late is not overlooked, and one that cannot be an event is in nobody’s way', async () => {
    const { app, database } = stage;
    const own = await relay();
    const late = await database.connect();
    await late.query('BEGIN');
    await late.query("INSERT INTO imsync_outbox (user_id, nick) VALUES ('late', 'L')");
    await app.query("INSERT INTO imsync_outbox (user_id) VALUES ('has blank')");
    await app.query(
      "INSERT INTO imsync_outbox (user_id, nick, face_url) VALUES ('soon', '雪', 'https://e.x/a')",
    );
    const [first] = await eventsFrom(stage, 1);
    expect(first).toMatchObject({ userId: 'soon', nick: '雪', faceUrl: 'https://e.x/a' });
    expect(Math.abs(Date.now() - Number(first?.occurredAt))).toBeLessThan(60_000);
    await late.query('COMMIT');
    await late.end();
    expect((await eventsFrom(stage, 2))[1]).toMatchObject({ userId: 'late', nick: 'L' });
    await stage.emptied();
    const aside = await app.query(
      'SELECT user_id, reason FROM imsync_outbox_archive WHERE reason IS NOT NULL',
    );
    expect(aside).toEqual([{ user_id: 'has blank', reason: expect.stringContaining('printable ASCII') }]);

    const { text } = await opsOf(own, '/metrics');
    expect(text).toMatch(/imsync_relay_rows_total\{result="relayed"\} 2\n/);
    expect(text).toMatch(/imsync_relay_rows_total\{result="aside"\} 1\n/);
    expect(text).toMatch(/imsync_relay_leads 1\n/);
    expect((await opsOf(own, '/readyz')).status).toBe(200);
    expect((await stage.verb(['status'])).stdout).toMatch(/relay +\S+ brings rows from (PostgreSQL|MariaDB)/);
    own.signal('SIGTERM');
    expect(await own.ended).toBe(0);
    const all = own.lines.join('\n') + own.stderr();
    for (const secret of [POSTGRES_PASSWORD, MARIADB_PASSWORD, encodeURIComponent(POSTGRES_PASSWORD)])
      expect(all).not.toContain(secret);
  });

  test('rows go in the order of their numbers, also where these get longer', async () => {
    const { app } = stage;
    const ids = [9, 10, 11, 99, 100, 101, 999_999, 1_000_000, 1_000_001, '9007199254740993'];
    const values = ids.map((id) => `(${id}, 'same', 'n${id}')`).reverse();
    await app.query(`INSERT INTO imsync_outbox (id, user_id, nick) VALUES ${values.join(', ')}`);
    await relay();
    const nicks = (await eventsFrom(stage, ids.length)).map(({ nick }) => nick);
    expect(nicks).toEqual(ids.map((id) => `n${id}`));
  });

  test('a look reads the index from its low end, however many rows wait', async () => {
    const { app } = stage;
    await app.query(rowsStatement(kind, 0, 20_000));
    await app.query(kind === 'PostgreSQL' ? 'ANALYZE imsync_outbox' : 'ANALYZE TABLE imsync_outbox');
    const dialect = kind === 'PostgreSQL' ? 'postgres' : 'mysql';
    const [look, highest] = await Promise.all(
      [takeSql(dialect, 'imsync_outbox', '1', 2_000), highestSql(dialect, 'imsync_outbox')].map(async (sql) =>
        JSON.stringify(await app.query(`EXPLAIN ${sql}`)),
      ),
    );
    if (kind === 'PostgreSQL') {
      expect(look).toMatch(/Limit.*Index Scan using imsync_outbox_pkey/);
      expect(highest).toMatch(/Limit.*Index Only Scan Backward using imsync_outbox_pkey/);
    } else {
      expect(look).toMatch(/"key":"PRIMARY".*"rows":"?2000/);
      expect(highest).toContain('optimized away');
    }
    expect(look).not.toMatch(/sort/i);
  });

  test('a relay that lost its session without knowing it adds nothing after the one that took over', async () => {
    const { app, client } = stage;
    const first = await relay();
    await first.line('the relay works');
    const second = await relay();
    await second.line('the relay stands by: another one of this table works');
    first.signal('SIGSTOP');
    // Its session ends, as that of a machine that vanished does.
    await app.query(
      kind === 'PostgreSQL'
        ? "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        : `KILL ${(await app.query("SELECT IS_USED_LOCK(CONCAT('imsync:', SHA1(CONCAT(DATABASE(), '.imsync_outbox')))) AS id"))[0]?.id}`,
    );
    await second.line('the relay works');
    const epoch = Number(await client.hget(keys.relay, 'epoch'));
    await app.query("INSERT INTO imsync_outbox (user_id, nick) VALUES ('a', 'new')");
    await eventsFrom(stage, 1);
    first.signal('SIGCONT');
    await eventually('the first one has noticed', () =>
      logOf(first).some(({ msg }) => String(msg).startsWith('the database cannot be used')),
    );
    await eventually('it stands by', () =>
      logOf(first).some(({ msg }) => String(msg).startsWith('the relay stands by')),
    );
    expect(Number(await client.hget(keys.relay, 'epoch'))).toBe(epoch);
    expect((await stage.events()).map(({ nick }) => nick)).toEqual(['new']);
  });

  test('rows wait while the intake is long, and are kept for as long as they should be', async () => {
    const { app, client } = stage;
    const own = await relay([], { IMSYNC_RELAY_MAX_WAITING: '3', IMSYNC_RELAY_KEEP_MS: '600000' });
    await app.query("INSERT INTO imsync_outbox (user_id) VALUES ('k1'), ('k2'), ('k3'), ('k4')");
    await eventsFrom(stage, 4);
    await app.query("INSERT INTO imsync_outbox (user_id) VALUES ('k5')");
    await own.line(
      'as many events wait in Redis as IMSYNC_RELAY_MAX_WAITING allows: rows wait in the database',
    );
    expect(await client.xlen(keys.stream)).toBe(4);
    await eventually('the row that waits is seen', async () => {
      const { text } = await opsOf(own, '/metrics');
      return /imsync_relay_waiting_rows 1\n/.test(text) && /oldest_row_seconds (?!0\n)/.test(text);
    });
    await client.del(keys.stream);
    await eventsFrom(stage, 1);
    await stage.emptied();
    const kept = await app.query(
      "SELECT user_id FROM imsync_outbox_archive WHERE reason IS NULL AND user_id LIKE 'k%' ORDER BY id",
    );
    expect(kept.map(({ user_id }) => user_id)).toEqual(['k1', 'k2', 'k3', 'k4', 'k5']);
  });

  test('a user who is forgotten is gone from the outbox and its archive, and others are not', async () => {
    const { app } = stage;
    await app.query("INSERT INTO imsync_outbox (user_id) VALUES ('gone'), ('stays'), ('gone')");
    await app.query(
      "INSERT INTO imsync_outbox_archive (id, user_id, created_at) VALUES (1, 'gone', CURRENT_TIMESTAMP), (2, 'stays', CURRENT_TIMESTAMP)",
    );
    const forget = ['user', 'forget', 'gone', '--yes'];
    const words = 'from the database: 2 rows of the outbox, 1 row of its archive';
    expect((await stage.verb([...forget, '--dry-run'])).stdout).toContain(`would erase ${words}`);
    const { code, stdout } = await stage.verb(forget);
    expect([code, stdout]).toEqual([0, expect.stringContaining(`erased ${words}`)]);
    for (const table of ['imsync_outbox', 'imsync_outbox_archive']) {
      const rows = await app.query(`SELECT user_id FROM ${table} WHERE user_id IN ('gone', 'stays')`);
      expect(rows).toEqual([{ user_id: 'stays' }]);
    }
    const without = await stage.verb(forget, { IMSYNC_DATABASE_URL: '' });
    expect(without.stdout).toContain('rows of an outbox: set IMSYNC_DATABASE_URL for this command');
  });

  test('triggers fill the outbox from a table of users, and it can be followed without them', async () => {
    const { app } = stage;
    await app.query('DELETE FROM users');
    const init = await stage.verb([
      'relay',
      'init',
      '--apply',
      '--trigger',
      'users',
      '--nick-column',
      'nick',
    ]);
    expect(init).toMatchObject({ code: 0 });
    await app.query("INSERT INTO users (id, nick) VALUES ('t1', 'A')");
    await app.query("UPDATE users SET nick = 'B' WHERE id = 't1'");
    await app.query("UPDATE users SET nick = 'B', updated_at = CURRENT_TIMESTAMP(6) WHERE id = 't1'");
    const rows = await app.query('SELECT user_id, nick FROM imsync_outbox ORDER BY id');
    expect(rows.map(({ nick }) => nick)).toEqual(['A', 'B']);

    const columns = ['--id-column', 'id', '--nick-column', 'nick', '--updated-column', 'updated_at'];
    const own = await relay(['--from-table', 'users', ...columns, '--from-start']);
    expect((await eventsFrom(stage, 1)).map(({ userId, nick }) => [userId, nick])).toEqual([['t1', 'B']]);
    // Its time lies behind that of the newest row, as that of a transaction that ends late.
    await app.query(
      kind === 'PostgreSQL'
        ? "INSERT INTO users (id, nick, updated_at) VALUES ('t0', 'Z', clock_timestamp() - interval '20 s')"
        : "INSERT INTO users (id, nick, updated_at) VALUES ('t0', 'Z', SYSDATE(6) - INTERVAL 20 SECOND)",
    );
    await app.query("UPDATE users SET nick = 'C', updated_at = CURRENT_TIMESTAMP(6) WHERE id = 't1'");
    const nicks = (await eventsFrom(stage, 3)).map(({ nick }) => nick).sort();
    expect(nicks).toEqual(['B', 'C', 'Z']);
    // A user who changes again is not one who came back.
    expect(linesOf(own, 'rows came back')).toEqual([]);
    own.signal('SIGKILL');
    await own.ended;
    await sleep(10);
    await relay(['--from-table', 'users', ...columns]);
    // Only what lies within the overlap comes again.
    const again = (await eventsFrom(stage, 5)).slice(3).map(({ nick }) => nick);
    expect(again.sort()).toEqual(['C', 'Z']);
  });

  test('triggers of two tables do not mix, and no value of theirs makes a signup fail', async () => {
    const { app } = stage;
    const isPostgres = kind === 'PostgreSQL';
    const place = isPostgres ? 'SCHEMA' : 'DATABASE';
    await app.query(`CREATE ${place} elsewhere`);
    await app.query(
      `CREATE TABLE members (no int, ext varchar(32), title ${isPostgres ? 'text' : 'longtext'})`,
    );
    await app.query('CREATE TABLE elsewhere.users (id varchar(32), title varchar(50))');
    try {
      for (const [table, id] of [
        ['members', 'ext'],
        ['elsewhere.users', 'id'],
      ] as const) {
        const columns = ['--id-column', id, '--nick-column', 'title'];
        const init = await stage.verb(['relay', 'init', '--apply', '--trigger', table, ...columns]);
        expect([init.code, init.stderr]).toEqual([0, '']);
      }
      await app.query("INSERT INTO members VALUES (1, 'm1', 'A'), (2, NULL, 'B'), (3, 'm3', NULL)");
      await app.query("UPDATE members SET ext = 'm2' WHERE no = 2");
      await app.query('UPDATE members SET no = 4 WHERE no = 3');
      await app.query("INSERT INTO members VALUES (5, 'long', repeat('x', 100000))");
      // The app's session finds another table of that name, or none.
      if (isPostgres) await app.query('SET search_path = elsewhere');
      await app.query("INSERT INTO elsewhere.users VALUES ('e1', 'E')");
      if (isPostgres) await app.query('RESET search_path');
      const rows = await app.query('SELECT user_id, nick FROM imsync_outbox ORDER BY id');
      expect(rows.map(({ user_id, nick }) => [user_id, String(nick).slice(0, 4)])).toEqual([
        ['m1', 'A'],
        ['m3', 'null'],
        ['m2', 'B'],
        ['long', 'xxxx'],
        ['e1', 'E'],
      ]);
    } finally {
      await app.query(isPostgres ? 'DROP SCHEMA elsewhere CASCADE' : 'DROP DATABASE elsewhere');
      await app.query('DROP TABLE members');
    }
  });

  test('a followed table loses no change that Redis did not take, nor one behind a time in the future', async () => {
    const { app, client } = stage;
    const isPostgres = kind === 'PostgreSQL';
    // No zone: the app writes the time of a place west of UTC.
    const [type, west, never] = isPostgres
      ? ['timestamp', "(now() AT TIME ZONE 'UTC') - interval '5 hours'", "'infinity'"]
      : ['datetime(6)', 'UTC_TIMESTAMP(6) - INTERVAL 5 HOUR', "'9999-12-31 23:59:59'"];
    await app.query(`CREATE TABLE places (id bigint, at ${type})`);
    try {
      await app.query(`INSERT INTO places VALUES (1, ${west})`);
      const columns = ['--from-table', 'places', '--updated-column', 'at'];
      const own = await relay(columns, { IMSYNC_RELAY_MAX_WAITING: '3' });
      await eventsFrom(stage, 1);
      await app.query(`INSERT INTO places VALUES (2, ${west}), (3, ${west}), (NULL, ${west})`);
      await eventsFrom(stage, 3);
      await app.query(`INSERT INTO places VALUES (4, ${west})`);
      await own.line(
        'as many events wait in Redis as IMSYNC_RELAY_MAX_WAITING allows: rows wait in the database',
      );
      await eventually('a look for their age has seen the row', async () =>
        /imsync_relay_waiting_rows 1\n/.test((await opsOf(own, '/metrics')).text),
      );
      await client.del(keys.stream);
      expect((await eventsFrom(stage, 1)).map(({ userId }) => userId)).toEqual(['4']);
      await app.query(`INSERT INTO places VALUES (5, ${never})`);
      await eventsFrom(stage, 2);
      await app.query(`INSERT INTO places VALUES (6, ${west})`);
      expect((await eventsFrom(stage, 3)).map(({ userId }) => userId)).toEqual(['4', '5', '6']);
      expect(linesOf(own, 'the database cannot be used; waiting for it. Rows stay there')).toEqual([]);
    } finally {
      await app.query('DROP TABLE places');
    }
  });

  test("a session does not go by the server's defaults", async () => {
    const { app, database } = stage;
    const isPostgres = kind === 'PostgreSQL';
    const set = (value: string): string =>
      isPostgres
        ? `ALTER ROLE app ${value === 'odd' ? "SET default_transaction_read_only = 'on'" : 'RESET ALL'}`
        : `SET GLOBAL autocommit = ${value === 'odd' ? 0 : 1}`;
    const server = await database.connect();
    try {
      await server.query(set('odd'));
      await relay();
      await app.query("INSERT INTO imsync_outbox (user_id) VALUES ('a')");
      await eventsFrom(stage, 1);
      // As another session sees it: it was committed.
      await stage.emptied(5_000);
    } finally {
      await server.query(`${isPostgres ? 'SET default_transaction_read_only = off;' : ''}${set('usual')}`);
      await server.end();
    }
  });

  test('the session of a process that hangs ends, and the reason is told', async () => {
    const address = readDatabaseUrl(stage.database.url);
    if (address === undefined) throw new Error('no address');
    const session = await openDatabase({ ...address, ca: '', cert: '', key: '' });
    const sql = kind === 'PostgreSQL' ? 'SHOW idle_session_timeout' : 'SELECT @@wait_timeout';
    const { rows } = await session.query(sql);
    const isPostgres = kind === 'PostgreSQL';
    const pid = await session.query(isPostgres ? 'SELECT pg_backend_pid()' : 'SELECT CONNECTION_ID()');
    await stage.app.query(`${isPostgres ? 'SELECT pg_terminate_backend' : 'KILL '}(${pid.rows[0]?.[0]})`);
    await eventually('it is lost', () => session.lostBy !== undefined);
    await expect(session.query('SELECT 1')).rejects.toThrow(
      /^the session was lost: .*(administrator command|closed)/,
    );
    await session.close();
    expect(String(rows[0]?.[0])).toBe(kind === 'PostgreSQL' ? '30s' : '30');
  });

  test('a relay that may not delete adds nothing, again and again', async () => {
    const { app, database } = stage;
    const isPostgres = kind === 'PostgreSQL';
    const reader = isPostgres ? 'reader' : "reader@'%'";
    await app.query(
      isPostgres
        ? "CREATE ROLE reader LOGIN PASSWORD 'r-4c1d'"
        : "CREATE USER reader@'%' IDENTIFIED BY 'r-4c1d'",
    );
    for (const table of ['imsync_outbox', 'imsync_outbox_archive'])
      await app.query(`GRANT SELECT ON ${table} TO ${reader}`);
    await app.query("INSERT INTO imsync_outbox (user_id) VALUES ('a')");
    const url = new URL(database.url);
    url.username = 'reader';
    url.password = 'r-4c1d';
    const own = await relay([], { IMSYNC_DATABASE_URL: url.href });
    const line = await own.line('the database cannot be used; waiting for it. Rows stay there');
    expect(line.reason).toMatch(/denied.*Give the user the rights that imsync relay init prints/);
    expect(await stage.events()).toEqual([]);
    await app.query(`GRANT DELETE ON imsync_outbox TO ${reader}`);
    await eventsFrom(stage, 1);
    await stage.emptied();
  });

  // What a worker loads does not depend on the database: once is enough.
  if (kind === 'MariaDB') return;
  test('a worker runs a relay when it is told to, and loads no driver when it is not', async () => {
    const simulator = await simulatorForTest();
    try {
      const env = { ...stage.env, IMSYNC_BASE_URL: simulator.url };
      const worker = imsync(['worker'], { ...env, IMSYNC_RELAY_IN_WORKER: 'true' });
      started.push(worker);
      await worker.line('the relay works');
      await stage.app.query("INSERT INTO imsync_outbox (user_id, nick) VALUES ('in-worker', 'W')");
      await eventually('the account exists', () => simulator.accounts.has('in-worker'));
      worker.signal('SIGTERM');
      expect(await worker.ended).toBe(0);

      const bare = imsync(['worker'], env, undefined, { nodeArgs: ['--import', tellDrivers] });
      started.push(bare);
      await bare.line('worker started');
      bare.signal('SIGTERM');
      await bare.ended;
      expect(bare.stderr()).toBe('drivers: none\n');
    } finally {
      await simulator.close();
    }
  });
});
