import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Simulator } from '../../simulator/simulator.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { describeWithDatabases } from '../support/database-user.ts';
import { eventually } from '../support/eventually.ts';
import { type OutboxStage, setOutboxStage } from '../support/outbox-stage.ts';
import { type ImsyncProcess, imsync } from '../support/process.ts';
import { simulatorForTest, TEST_APP } from '../support/simulator.ts';
import { endAll } from '../support/stage.ts';

const USERS = 12_000;
let stage: OutboxStage;
let simulator: Simulator;
let worker: ImsyncProcess;
let folder: string;
/** Processes that end only by a signal. */
const repeating: ImsyncProcess[] = [];

describeWithDatabases('a table of users', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imsync-reconcile-'));
    [stage, simulator] = await Promise.all([setOutboxStage('PostgreSQL'), simulatorForTest()]);
    await stage.app.query(
      `INSERT INTO users (id, nick) SELECT 'u' || lpad(i::text, 6, '0'), 'N' || i FROM generate_series(1, ${USERS}) i`,
    );
    worker = imsync(['worker'], { ...stage.env, IMSYNC_BASE_URL: simulator.url });
    await worker.line('worker started');
  }, 120_000);
  afterAll(async () => {
    await endAll([worker, ...repeating]);
    await stage.end();
    await simulator.close();
    await rm(folder, { recursive: true });
  }, 120_000);

  const verb = (...args: string[]) => stage.verb(args, { IMSYNC_BASE_URL: simulator.url });

  test('import reads a query in place of a file', async () => {
    const query = `SELECT id, nick FROM users WHERE id <= 'u0${USERS - 1_000}';`;
    const checkpoint = ['--checkpoint', join(folder, 'c'), '--rejects', join(folder, 'r.csv')];
    const { code, stdout, stderr } = await verb(
      'import',
      '--query',
      query,
      ...checkpoint,
      '--json',
      '--wait',
    );
    expect({ code, stderr: stderr.includes('Query of postgres://127.0.0.1') }).toEqual({
      code: 0,
      stderr: true,
    });
    expect(JSON.parse(stdout).counts).toMatchObject({ rows: USERS - 1_000, added: USERS - 1_000 });
    expect(simulator.accounts.get('u000007')?.nick).toBe('N7');
  });

  test('reconcile counts, lists and adds who is missing, and status tells of it', async () => {
    const list = join(folder, 'missing.csv');
    const walk = ['reconcile', '--table', 'users', '--nick-column', 'nick', '--grace', '1', '--json'];
    const counted = await verb(...walk, '--missing-file', list);
    expect(counted.code).toBe(1);
    expect(JSON.parse(counted.stdout)).toMatchObject({
      complete: true,
      counts: { rows: USERS, imported: USERS - 1_000, missing: 1_000, enqueued: 0 },
    });
    expect((await readFile(list, 'utf8')).split('\n').slice(0, 2)).toEqual([
      'line,reason,userId,nick',
      `1,missing,u0${USERS - 999},N${USERS - 999}`,
    ]);
    const status = await verb('status');
    expect(status.stdout).toContain(`reconcile    ${USERS} users compared`);

    const adding = await verb(...walk, '--enqueue-missing');
    expect(adding.code).toBe(0);
    expect(JSON.parse(adding.stdout).counts).toMatchObject({ missing: 1_000, enqueued: 1_000 });
    await eventually('all have accounts', () => simulator.accounts.size === USERS);
    expect(simulator.accounts.get(`u0${USERS}`)?.nick).toBe(`N${USERS}`);
    expect(JSON.parse((await verb(...walk)).stdout).counts).toMatchObject({ imported: USERS, missing: 0 });
  }, 90_000);

  test('a schedule: SIGTERM ends a run in its middle, the next process goes on, and a third one makes none', async () => {
    const env = { ...stage.env, IMSYNC_BASE_URL: simulator.url };
    // Nobody of them has an account, so that the place is saved some thousands of users before the end.
    const query = "SELECT id || 'x' || g AS id, nick FROM users, generate_series(1, 3) g";
    const rows = 3 * USERS;
    const repeat = ['reconcile', '--query', query, '--every', '24h', '--grace', '2', '--json'];
    const key = keysOf(TEST_APP.sdkAppId).reconcile;
    const first = imsync(repeat, env);
    repeating.push(first);
    const open = await eventually('the place is saved', () => stage.client.hget(key, 'open'));
    const { startedAt } = JSON.parse(open);
    first.signal('SIGTERM');
    expect(await first.ended).toBe(0);
    expect(first.stderr()).not.toContain('failed');
    expect(JSON.parse(first.lines.at(-1) ?? '')).toMatchObject({ complete: false });

    const due = new Date(startedAt + 86_400_000).toISOString();
    const second = imsync(repeat, env);
    repeating.push(second);
    await eventually('it has ended', () => second.stderr().includes(`Next run: ${due}.`));
    expect(second.stderr()).toMatch(/Continuing the run of \S+ after \d+,\d{3} users/);
    expect(JSON.parse(second.lines.at(-1) ?? '')).toMatchObject({
      complete: true,
      counts: { rows, missing: rows },
    });
    second.signal('SIGTERM');
    expect(await second.ended).toBe(0);

    const third = imsync(repeat, env);
    repeating.push(third);
    await eventually('it waits', () => third.stderr().includes(`Next run: ${due}.`));
    third.signal('SIGTERM');
    expect([await third.ended, third.lines]).toEqual([0, []]);
    const status = JSON.parse((await verb('status', '--json')).stdout);
    expect(status).toMatchObject({
      reconcile: { startedAt, counts: { missing: rows } },
      reconcileDueAt: startedAt + 86_400_000,
    });
    const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(new RegExp(`^imsync_reconcile_missing_users ${rows}$`, 'm'));
    expect(metrics).toContain(`imsync_reconcile_due_timestamp_seconds ${(startedAt + 86_400_000) / 1_000}\n`);
    await stage.client.hset(key, 'due', JSON.stringify({ identity: 'x', at: Date.now() - 7 * 3_600_000 }));
    expect((await verb('status')).stdout).toMatch(/^reconcile +a run was due at \S+ and has not ended/m);
  }, 90_000);

  test('SIGTERM while the database works on a page is no fault', async () => {
    for (const [more, code, seconds] of [
      [[], 143, 0.05],
      [['--every', '24h'], 0, 0.06],
    ] as const) {
      const query = `SELECT id, pg_sleep(${seconds})::text AS nick FROM users`;
      const env = { ...stage.env, IMSYNC_BASE_URL: simulator.url };
      const own = imsync(['reconcile', '--query', query, ...more], env);
      repeating.push(own);
      await eventually('the page is asked for', async () => {
        const rows = await stage.app.query(
          `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(${seconds})%LIMIT 5000'`,
        );
        return rows.length > 0;
      });
      own.signal('SIGTERM');
      expect([await own.ended, own.stderr()]).toEqual([code, expect.not.stringMatching(/fail|cannot/)]);
    }
  });

  test.each([
    ['--at says when it is repeated: add --every', ['--at', '03:00']],
    ['--at names a time of day, so --every must be whole days', ['--at', '03:00', '--every', '30m']],
    ['It must be a time of day such as 03:00', ['--every', '24h', '--at', '25:00']],
    ['It must be a number with m, h or d, such as 24h', ['--every', '24']],
    ['The query was refused: relation "nobody" does not exist', ['--table', 'nobody', '--every', '24h']],
  ])('%s', async (sentence, args) => {
    const table = args.includes('--table') ? [] : ['--table', 'users'];
    const { code, stderr } = await verb('reconcile', ...table, ...args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(sentence)]);
  });

  test('a query that cannot be read is said, and a password on the command line is refused', async () => {
    const { code, stderr } = await verb('reconcile', '--table', 'nobody');
    expect(stderr).toContain('The query was refused: relation "nobody" does not exist.');
    expect(code).toBe(2);
    const secret = await verb(
      'verify',
      '--query',
      'SELECT 1',
      '--database-url',
      'postgres://a:b@127.0.0.1/app',
    );
    expect(secret.code).toBe(2);
    expect(secret.stderr).toContain('holds a password');
  });
});
