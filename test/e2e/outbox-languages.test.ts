import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describeWithDatabases } from '../support/database-user.ts';
import { eventually } from '../support/eventually.ts';
import { type OutboxStage, setOutboxStage } from '../support/outbox-stage.ts';
import { fencesOf } from '../support/pages.ts';

/**
 * Every program of docs/outbox.md runs as it stands there, on real databases with a relay. It signs two users up. One
 * is refused by the database after its user was written, so neither the user nor an event may be there. A language or
 * library that is not on this machine is skipped, unless TEST_LANGUAGES is `all`. TEST_QUERY_BUILDERS is a node_modules
 * with Knex and TypeORM.
 */
const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs/outbox.md'), 'utf8');
const blocks = fencesOf(page);
/** Of what stands for a whole application, the page says that it is not run. */
const NOT_RUN = ['prisma.$transaction', '@Transactional'];
const builders = process.env.TEST_QUERY_BUILDERS ?? '';

const isHere = (program: string): boolean =>
  existsSync(program) ||
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
const testWith = (...needed: readonly string[]) =>
  process.env.TEST_LANGUAGES === 'all' || needed.every(isHere) ? test : test.skip;
const testWithBuilders = builders === '' ? test.skip : test;

const KINDS = ['PostgreSQL', 'MariaDB'] as const;
type Kind = (typeof KINDS)[number];
const stages = new Map<Kind, OutboxStage>();
let folder: string;

/** PostgreSQL refuses at COMMIT, when both rows were written. MariaDB has no such check, and refuses the second row. */
const REFUSAL: Readonly<Record<Kind, string>> = {
  PostgreSQL: `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.nick = 'refused' THEN RAISE EXCEPTION 'refused by the test'; END IF; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON imsync_outbox DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION refuse()`,
  MariaDB: `CREATE TRIGGER refuse BEFORE INSERT ON imsync_outbox FOR EACH ROW
      BEGIN IF NEW.nick = 'refused' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused by the test'; END IF; END`,
};

/** The part of a block that holds `text`; blocks hold several parts with a comment before each. */
function programWith(text: string, comment?: string): string {
  const [block, ...others] = blocks.filter(({ code }) => code.includes(text));
  expect([block?.code, others]).toEqual([expect.any(String), []]);
  const code = block?.code ?? '';
  if (comment === undefined) return code;
  const parts = code.split(/^(?=\/\/ )/m);
  const imports = parts[0]?.startsWith('import') ? parts[0] : '';
  const part = parts.find((one) => one.startsWith(comment));
  if (part === undefined) throw new Error(`no program begins with ${comment}`);
  return imports + part;
}

async function written(name: string, code: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, code);
  return file;
}

/** Where the database is, for a program in a language of its own words. */
function addressOf(kind: Kind) {
  const { hostname, port, username, password, pathname } = new URL(stages.get(kind)?.database.url ?? '');
  const [user, secret] = [username, password].map(decodeURIComponent);
  return { host: hostname, port, user, password: secret, database: pathname.slice(1) };
}

/** Runs a program that signs up `<name>-yes` as Alice, and then `<name>-no`, which is refused, and tells of each. */
async function expectSignup(
  name: string,
  kind: Kind,
  program: string,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { host, port, user = '', password = '', database } = addressOf(kind);
  const address = { DB_HOST: host, DB_PORT: port, DB_USER: user, DB_PASSWORD: password, DB_NAME: database };
  const env = { PATH: process.env.PATH ?? '', HOME: homedir(), SIGNUP: name, ...address, ...more };
  const { stdout } = await run(program, [...args], { cwd: root, env });
  expect(stdout.trim().split('\n')).toEqual([`${name}-yes committed`, `${name}-no refused`]);
  const stage = stages.get(kind);
  const event = await eventually('the event is in the stream', async () =>
    (await stage?.events())?.find(({ userId }) => userId === `${name}-yes`),
  );
  expect(event).toMatchObject({ nick: 'Alice' });
  const users = await stage?.app.query(`SELECT id, name FROM users WHERE id LIKE '${name}-%'`);
  expect(users).toEqual([{ id: `${name}-yes`, name: 'Alice' }]);
  expect((await stage?.events())?.filter(({ userId }) => userId === `${name}-no`)).toEqual([]);
}

/** JavaScript around a program of the page, which sees `id` and `name`. */
function script(before: string, program: string, after: string): string {
  const [imports = ''] = /^import .*$/m.exec(program) ?? [];
  return `${imports}
    const { DB_HOST: host, DB_PORT, DB_USER: user, DB_PASSWORD: password, DB_NAME: database, SIGNUP } = process.env;
    const address = { host, port: Number(DB_PORT), user, password, database };
    ${before}
    async function signUp(id, name) { ${program.replace(imports, '')} }
    for (const [id, name] of [[SIGNUP + '-yes', 'Alice'], [SIGNUP + '-no', 'refused']])
      console.log(id, await signUp(id, name).then(() => 'committed', async () => { ${after}; return 'refused'; }));
    process.exit();`;
}

describeWithDatabases('the programs of docs/outbox.md', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imsync-outbox-'));
    await Promise.all(
      KINDS.map(async (kind) => {
        const stage = await setOutboxStage(kind);
        stages.set(kind, stage);
        await stage.app.query('ALTER TABLE users ADD name varchar(200)');
        await stage.app.query(REFUSAL[kind]);
        await stage.relay();
      }),
    );
  }, 240_000);
  afterAll(async () => {
    await Promise.all([...stages.values()].map((stage) => stage.end()));
    await rm(folder, { recursive: true, force: true });
  }, 120_000);

  test('each stands in this file, or the page says that it is not run', () => {
    const programs = blocks.filter(({ code }) => code.includes('imsync_outbox (user_id, nick) VALUES'));
    expect(programs.map(({ language }) => language)).toEqual([
      'python',
      'python',
      'php',
      'go',
      'java',
      'java',
    ]);
    for (const text of NOT_RUN) expect(page).toContain(text);
    expect(page).toContain('except those of Prisma and Spring');
  });

  test('the Chinese page has the same programs', () => {
    const chinese = readFileSync(join(root, 'docs/zh-CN/outbox.md'), 'utf8');
    expect(fencesOf(chinese)).toEqual(blocks);
  });

  test('JavaScript with pg', async () => {
    const program = programWith("from 'im-account-sync/outbox'", '// pg');
    const before = "import pg from 'pg'; const client = new pg.Client(address); await client.connect();";
    const code = script(before, program, "await client.query('ROLLBACK')");
    await expectSignup('pg', 'PostgreSQL', 'node', ['--input-type=module', '-e', code]);
  });

  test('JavaScript with mysql2', async () => {
    const program = programWith("from 'im-account-sync/outbox'", '// mysql2');
    const before =
      "import mysql from 'mysql2/promise'; const connection = await mysql.createConnection(address);";
    const code = script(before, program, 'await connection.rollback()');
    await expectSignup('mysql2', 'MariaDB', 'node', ['--input-type=module', '-e', code]);
  });

  testWithBuilders.each(KINDS)('Knex on %s', async (kind) => {
    const client = kind === 'MariaDB' ? 'mysql2' : 'pg';
    const before = `import { statement } from 'im-account-sync/outbox'; import { createRequire } from 'node:module';
      const knex = createRequire(${JSON.stringify(join(builders, 'x.js'))})('knex')({ client: '${client}', connection: address });`;
    const code = script(before, programWith('knex.transaction', '// Knex'), '');
    await expectSignup(`knex-${client}`, kind, 'node', ['--input-type=module', '-e', code]);
  });

  testWithBuilders('TypeORM', async () => {
    const before = `import { statement } from 'im-account-sync/outbox'; import { createRequire } from 'node:module';
      const { DataSource, EntitySchema } = createRequire(${JSON.stringify(join(builders, 'x.js'))})('typeorm');
      const columns = { id: { type: String, primary: true }, name: { type: String } };
      const User = new EntitySchema({ name: 'User', tableName: 'users', columns });
      const { user: username, ...rest } = address;
      const dataSource = new DataSource({ type: 'postgres', username, ...rest, entities: [User] });
      await dataSource.initialize();`;
    const code = script(before, programWith('dataSource.transaction', '// TypeORM'), '');
    await expectSignup('typeorm', 'PostgreSQL', 'node', ['--input-type=module', '-e', code]);
  });

  const python = (connect: string, program: string, after = '') => `
import os
${connect}
for suffix, name in (("-yes", "Alice"), ("-no", "refused")):
    user_id = os.environ["SIGNUP"] + suffix
    try:
${program.replace(/^/gm, '        ')}
        print(user_id, "committed")
    except Exception as error:
        assert "refused by the test" in str(error), error
        ${after || 'pass'}
        print(user_id, "refused")
`;
  const CONNECT = `host=os.environ["DB_HOST"], port=int(os.environ["DB_PORT"]), user=os.environ["DB_USER"], password=os.environ["DB_PASSWORD"]`;

  testWith('/usr/bin/python3', '/usr/lib/python3/dist-packages/psycopg')('Python with psycopg', async () => {
    const connect = `import psycopg\nconnection = psycopg.connect(${CONNECT}, dbname=os.environ["DB_NAME"])`;
    const file = await written('postgres.py', python(connect, programWith('# psycopg')));
    await expectSignup('psycopg', 'PostgreSQL', '/usr/bin/python3', [file]);
  });

  testWith('/usr/bin/python3', '/usr/lib/python3/dist-packages/pymysql')('Python with PyMySQL', async () => {
    const connect = `import pymysql\nconnection = pymysql.connect(${CONNECT}, database=os.environ["DB_NAME"])`;
    const file = await written(
      'mysql.py',
      python(connect, programWith('# PyMySQL'), 'connection.rollback()'),
    );
    await expectSignup('pymysql', 'MariaDB', '/usr/bin/python3', [file]);
  });

  testWith('php', '/usr/share/php8.2-pgsql', '/usr/share/php8.2-mysql').each(KINDS)(
    'PHP with PDO on %s',
    async (kind) => {
      const driver = kind === 'MariaDB' ? 'mysql' : 'pgsql';
      const file = await written(
        `${driver}.php`,
        `<?php
$pdo = new PDO('${driver}:host='.getenv('DB_HOST').';port='.getenv('DB_PORT').';dbname='.getenv('DB_NAME'), getenv('DB_USER'), getenv('DB_PASSWORD'));
foreach (['-yes' => 'Alice', '-no' => 'refused'] as $suffix => $name) {
  $id = getenv('SIGNUP').$suffix;
  try {
    ${programWith('$pdo->beginTransaction')}
    echo "$id committed\\n";
  } catch (PDOException $error) {
    if ($pdo->inTransaction()) $pdo->rollBack();
    echo "$id refused\\n";
  }
}`,
      );
      await expectSignup(`php-${driver}`, kind, 'php', [file]);
    },
  );

  testWith(
    'go',
    '/usr/share/gocode/src/github.com/lib/pq',
    '/usr/share/gocode/src/github.com/go-sql-driver/mysql',
  )(
    'Go with lib/pq and go-sql-driver/mysql',
    async () => {
      const program = programWith('db.BeginTx');
      const file = await written(
        'signup.go',
        `package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/lib/pq"
)

func postgres(ctx context.Context, db *sql.DB, id, name string) error {
${program}
}

func mysql(ctx context.Context, db *sql.DB, id, name string) error {
${program.replace(/\$[12]/g, '?')}
}

func main() {
	e := os.Getenv
	signUp, address := postgres, fmt.Sprintf("host=%s port=%s user=%s password='%s' dbname=%s sslmode=disable", e("DB_HOST"), e("DB_PORT"), e("DB_USER"), e("DB_PASSWORD"), e("DB_NAME"))
	if e("DRIVER") == "mysql" {
		signUp, address = mysql, fmt.Sprintf("%s:%s@tcp(%s:%s)/%s", e("DB_USER"), e("DB_PASSWORD"), e("DB_HOST"), e("DB_PORT"), e("DB_NAME"))
	}
	db, err := sql.Open(e("DRIVER"), address)
	if err != nil {
		panic(err)
	}
	for _, user := range [][2]string{{"-yes", "Alice"}, {"-no", "refused"}} {
		id, outcome := e("SIGNUP")+user[0], "committed"
		if signUp(context.Background(), db, id, user[1]) != nil {
			outcome = "refused"
		}
		fmt.Println(id, outcome)
	}
}
`,
      );
      const binary = join(folder, 'signup');
      const go = { GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOCACHE: join(folder, 'go-cache') };
      const env = { PATH: process.env.PATH ?? '', HOME: homedir(), ...go };
      await run('go', ['build', '-o', binary, file], { env });
      await expectSignup('go-pq', 'PostgreSQL', binary, [], { DRIVER: 'postgres' });
      await expectSignup('go-mysql', 'MariaDB', binary, [], { DRIVER: 'mysql' });
    },
    240_000,
  );

  testWith('java', '/usr/share/java/postgresql.jar', '/usr/share/java/mariadb-java-client.jar').each(KINDS)(
    'Java with JDBC on %s',
    async (kind) => {
      const file = await written(
        'SignUp.java',
        `import java.sql.*;
class SignUp {
  static void signUp(Connection connection, String id, String name) throws SQLException {
    ${programWith('prepareStatement')}
  }
  public static void main(String[] args) throws Exception {
    var e = System.getenv();
    var url = "jdbc:" + e.get("DRIVER") + "://" + e.get("DB_HOST") + ":" + e.get("DB_PORT") + "/" + e.get("DB_NAME");
    var connection = DriverManager.getConnection(url, e.get("DB_USER"), e.get("DB_PASSWORD"));
    for (var user : new String[][] {{"-yes", "Alice"}, {"-no", "refused"}}) {
      var id = e.get("SIGNUP") + user[0];
      try {
        signUp(connection, id, user[1]);
        System.out.println(id + " committed");
      } catch (SQLException refused) {
        System.out.println(id + " refused");
      }
    }
  }
}`,
      );
      const DRIVER = kind === 'MariaDB' ? 'mariadb' : 'postgresql';
      const jars = ['postgresql', 'mariadb-java-client'].map((jar) => `/usr/share/java/${jar}.jar`);
      await expectSignup(`jdbc-${DRIVER}`, kind, 'java', ['-cp', jars.join(delimiter), file], { DRIVER });
    },
    120_000,
  );
});
