import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Simulator } from '../../simulator/simulator.ts';
import { describeWithDatabases } from '../support/database-user.ts';
import { eventually } from '../support/eventually.ts';
import { type OutboxStage, setOutboxStage } from '../support/outbox-stage.ts';
import { type ImsyncProcess, imsync } from '../support/process.ts';
import { simulatorForTest } from '../support/simulator.ts';
import { endAll } from '../support/stage.ts';

const USERS = 12_000;
let stage: OutboxStage;
let simulator: Simulator;
let worker: ImsyncProcess;
let folder: string;

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
    await endAll([worker]);
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
