import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readTextFile } from '../../src/cli/context.ts';
import { loadConfig } from '../../src/config/load.ts';
import { examineDatabase } from '../../src/doctor/database-findings.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { describeWithDatabases, endServer, makeServerHome } from '../support/database-user.ts';
import { eventually } from '../support/eventually.ts';
import { type AppConnection, type AppDatabase, startDatabase } from '../support/outbox-stage.ts';
import { imsyncRun } from '../support/process.ts';
import { freePort } from '../support/redis-server.ts';

const hasPooler = existsSync('/usr/sbin/pgbouncer') || process.env.TEST_DATABASES === 'must';

/** What `imsync doctor` says of a database: what is wrong, where, and what to do about it. */
describeWithDatabases.each<AppDatabase['kind']>(['PostgreSQL', 'MariaDB'])('%s', (kind) => {
  const isPostgres = kind === 'PostgreSQL';
  let database: AppDatabase;
  let owner: AppConnection;
  /** The address with another user. */
  let relayUrl: string;
  beforeAll(async () => {
    database = await startDatabase(kind);
    owner = await database.connect();
    relayUrl = database.url.replace(/\/\/[^@]*@/, '//relay_user:relay-secret@');
  }, 120_000);
  afterAll(async () => {
    await owner?.end();
    await database?.stop();
  }, 120_000);

  async function looked(url = database.url): Promise<Finding[]> {
    const readFile = readTextFile;
    const { config } = loadConfig({ env: { IMSYNC_SDK_APP_ID: '1', IMSYNC_DATABASE_URL: url }, readFile });
    const findings = await examineDatabase(config, readFile, undefined);
    expect(JSON.stringify(findings)).not.toMatch(/ss:word|ss%3Aword|relay-secret|other-secret/);
    return findings;
  }
  /** Each finding that is wrong, as name, text and what to do. */
  const faults = async (url?: string): Promise<string[][]> =>
    (await looked(url)).flatMap(({ state, name, text, todo = '' }) =>
      state === 'wrong' ? [[name, text, todo]] : [],
    );
  const init = () =>
    imsyncRun(['relay', 'init', '--apply'], { IMSYNC_SDK_APP_ID: '1', IMSYNC_DATABASE_URL: database.url });

  test('nobody answers there', async () => {
    const url = database.url.replace(/:\d+\//, `:${await freePort()}/`);
    expect(await faults(url)).toEqual([
      [
        'database.reachable',
        expect.stringMatching(/^The database cannot be used at \S+127\.0\.0\.1:\d+\S*: connect ECONNREFUSED/),
        'Check IMSYNC_DATABASE_URL, and that the database runs there.',
      ],
    ]);
  });

  test('a wrong password, and a database that does not exist', async () => {
    const wrongPassword = database.url.replace(/:[^:@/]*@/, ':other-secret@');
    expect(await faults(wrongPassword)).toEqual([
      [
        'database.reachable',
        expect.stringMatching(/password authentication failed|Access denied for user/),
        expect.stringMatching(/^Check user and password in IMSYNC_DATABASE_URL/),
      ],
    ]);
    expect(await faults(database.url.replace(/\/[^/?]+$/, '/nowhere'))).toEqual([
      [
        'database.reachable',
        expect.stringMatching(/nowhere/),
        expect.stringMatching(/^The database at the end of IMSYNC_DATABASE_URL does not exist/),
      ],
    ]);
  });

  test('no tables; then all is well, and doctor has changed nothing', async () => {
    expect(await faults()).toEqual([
      [
        'database.outbox',
        expect.stringMatching(/^The outbox imsync_outbox cannot be read: .*(does not exist|doesn't exist)/),
        expect.stringMatching(
          /^Make the tables: imsync relay init --apply\..* If only reconcile or --query use/,
        ),
      ],
    ]);
    expect((await init()).code).toBe(0);
    await owner.query("INSERT INTO imsync_outbox (user_id) VALUES ('waits')");
    expect(await faults()).toEqual([]);
    expect(await owner.query('SELECT user_id FROM imsync_outbox')).toEqual([{ user_id: 'waits' }]);
    expect((await looked()).map(({ text }) => text)).toContain(
      'No relay works; no row of imsync_outbox has waited for long',
    );
  });

  test('a row that has waited for long; rows that could not be events', async () => {
    const past = isPostgres ? "now() - interval '5 h'" : 'SYSDATE() - INTERVAL 5 HOUR';
    await owner.query(`UPDATE imsync_outbox SET created_at = ${past}`);
    const columns = 'id, user_id, created_at, reason';
    await owner.query(
      `INSERT INTO imsync_outbox_archive (${columns}) VALUES (1, 'a b', ${past}, 'userId must be printable ASCII'), (2, 'c', ${past}, NULL)`,
    );
    expect(await faults()).toEqual([
      [
        'database.outbox',
        'No relay works, and the oldest row of imsync_outbox has waited 5 h',
        'Start one: imsync relay',
      ],
      [
        'database.aside',
        '1 rows in imsync_outbox_archive could not be events; the newest: userId must be printable ASCII',
        expect.stringMatching(/^Mend them there and put them back/),
      ],
    ]);
    await owner.query('DELETE FROM imsync_outbox');
    await owner.query('DELETE FROM imsync_outbox_archive');
  });

  test('rights that the user of the relay lacks, one after the other', async () => {
    await owner.query(
      isPostgres
        ? "CREATE USER relay_user PASSWORD 'relay-secret'"
        : "CREATE USER relay_user@'%' IDENTIFIED BY 'relay-secret'",
    );
    const first = await faults(relayUrl);
    expect(first).toHaveLength(1);
    if (isPostgres)
      expect(first[0]).toEqual([
        'database.outbox',
        'The outbox imsync_outbox cannot be read: permission denied for table imsync_outbox',
        expect.stringMatching(/^Give the user the rights that imsync relay init prints\./),
      ]);
    else
      expect(first[0]?.slice(0, 2)).toEqual(['database.reachable', expect.stringMatching(/denied for user/)]);
    const grants = [
      ['SELECT', 'imsync_outbox'],
      ['SELECT', 'imsync_outbox_archive'],
      ['DELETE', 'imsync_outbox'],
      ['INSERT', 'imsync_outbox_archive'],
      ['DELETE', 'imsync_outbox_archive'],
    ] as const;
    for (const [i, [right, table]] of grants.entries()) {
      await owner.query(`GRANT ${right} ON ${table} TO relay_user`);
      if (i === 0) continue;
      const lacking = grants.slice(i + 1);
      const found = await faults(relayUrl);
      expect(found.map(([name]) => name)).toEqual(lacking.map(() => 'database.rights'));
      for (const [missing, on] of lacking)
        expect(found).toContainEqual([
          'database.rights',
          expect.stringMatching(new RegExp(`^The user relay_user cannot ${missing} in ${on}: .*denied`)),
          `As an owner of the table: GRANT ${missing} ON ${on} TO its user. imsync relay init prints all rights.`,
        ]);
    }
    expect(await faults(relayUrl)).toEqual([]);
    const hints = async () =>
      (await looked(relayUrl)).flatMap(({ name, text }) => (name === 'database.counter' ? [text] : []));
    expect(await hints()).toEqual(
      isPostgres
        ? [expect.stringContaining('GRANT SELECT ON SEQUENCE public.imsync_outbox_id_seq TO its user')]
        : [],
    );
    if (isPostgres) await owner.query('GRANT SELECT ON SEQUENCE imsync_outbox_id_seq TO relay_user');
    expect(await hints()).toEqual([]);
  });

  test('a column of the wrong type, a column that is missing, and an archive that is missing', async () => {
    await owner.query('ALTER TABLE imsync_outbox DROP COLUMN trace_parent');
    await owner.query(
      isPostgres
        ? 'ALTER TABLE imsync_outbox ALTER COLUMN type TYPE text USING type::text'
        : 'ALTER TABLE imsync_outbox MODIFY type text',
    );
    expect(await faults()).toEqual([
      [
        'database.columns',
        'The table imsync_outbox has a column type of the type text, which is not a whole number',
        'Mend it by ALTER TABLE: imsync relay init prints how type is made.',
      ],
      [
        'database.columns',
        'The table imsync_outbox has no column trace_parent',
        'Mend it by ALTER TABLE: imsync relay init prints how trace_parent is made.',
      ],
    ]);
    await owner.query('ALTER TABLE imsync_outbox DROP COLUMN created_at');
    expect((await faults()).map(([, text]) => text)).toContain(
      'The table imsync_outbox has no column created_at',
    );
    await owner.query('DROP TABLE imsync_outbox, imsync_outbox_archive');
    await init();
    await owner.query('DROP TABLE imsync_outbox_archive');
    expect(await faults()).toEqual([
      [
        'database.columns',
        expect.stringMatching(
          /^The table imsync_outbox_archive does not exist, or its user has no right there/,
        ),
        'Make it: imsync relay init --apply. It also prints the rights.',
      ],
    ]);
  });

  const testWithPooler = isPostgres && hasPooler ? test : test.skip;
  testWithPooler.each([
    ['transaction', 1],
    ['session', 0],
  ])('a pooler in %s mode', async (mode, count) => {
    await owner.query('DROP TABLE IF EXISTS imsync_outbox, imsync_outbox_archive');
    await init();
    const { port, username, password, pathname } = new URL(database.url);
    const own = await freePort();
    const home = await makeServerHome('postgres');
    const text = `[databases]
app = host=127.0.0.1 port=${port} dbname=${pathname.slice(1)} user=${username} password='${decodeURIComponent(password)}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
auth_type = any
pool_mode = ${mode}
unix_socket_dir =
`;
    await writeFile(join(home.folder, 'pgbouncer.ini'), text, { mode: 0o644 });
    const pooler = home.spawn('/usr/sbin/pgbouncer', [join(home.folder, 'pgbouncer.ini')]);
    try {
      const url = `postgres://any@127.0.0.1:${own}/app`;
      await eventually('it answers', async () =>
        (await looked(url)).some(({ name, state }) => name === 'database.reachable' && state === 'ok'),
      );
      expect((await faults(url)).filter(([name]) => name === 'database.pooler')).toEqual(
        Array(count).fill([
          'database.pooler',
          expect.stringMatching(/a pooler in transaction mode, which keeps neither locks nor LISTEN/),
          expect.stringMatching(/^Use its session mode, or the port of the server itself/),
        ]),
      );
    } finally {
      await endServer(pooler, 'SIGTERM');
      await home.remove();
    }
  });
});
