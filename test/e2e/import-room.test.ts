import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TARGET_SECONDS } from '../../src/tasks/backfill/in-flight-limit.ts';
import { eventually } from '../support/eventually.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import { imsync, imsyncRun } from '../support/process.ts';

/** Signups stay quick during an import, because few imported events wait before them. */

let fleet: Fleet;
let folder: string;
afterEach(async () => {
  await fleet.stop();
  await rm(folder, { recursive: true });
}, 120_000);

const ROWS = 5_000;

async function begin(options: Parameters<typeof startFleet>[0]): Promise<string> {
  fleet = await startFleet(options);
  folder = await mkdtemp(join(tmpdir(), 'imsync-room-'));
  const path = join(folder, 'users.csv');
  await writeFile(path, `userId\n${Array.from({ length: ROWS }, (_, i) => `row${i}\n`).join('')}`);
  return path;
}

test('an import adds a fraction of a second of work at a time, and nothing while Redis is nearly full; no row is lost', async () => {
  const path = await begin({ workers: 0 });
  const importer = imsync(['import', path, '--wait'], fleet.env);
  await eventually(
    'it says that no rows are done',
    () => importer.stderr().includes('Is a worker running?'),
    60_000,
  );
  const waiting = await fleet.redis.xlen(fleet.keys.stream);
  // 99 calls a second, a hundred users each, are allowed; a quarter is what a fleet that does nothing is asked for.
  const most = 0.25 * TARGET_SECONDS * 9_900;
  expect(waiting).toBeLessThanOrEqual(most);
  expect(waiting).toBeGreaterThan(0.9 * most);

  const used = Number(/used_memory:(\d+)/.exec(await fleet.redis.info('memory'))?.[1]);
  await fleet.redis.config('SET', 'maxmemory', String(Math.round(used / 0.88)));
  await eventually(
    'it says that Redis is full',
    () => importer.stderr().includes('Redis is nearly full'),
    60_000,
  );
  await fleet.redis.config('SET', 'maxmemory', '0');
  // A signup waits behind the rows that were added, and behind nothing else.
  await fleet.addUsers(1, 'signup');
  expect(await fleet.redis.xlen(fleet.keys.stream)).toBeLessThanOrEqual(most + 1);
  await fleet.startWorker();
  expect(await importer.ended).toBe(0);
  await fleet.drained();
  expect(fleet.simulator.accounts.size).toBe(ROWS + 1);
}, 180_000);

test('hosted mode: no account is asked for, each user has their own call, and no password is written to a file', async () => {
  await begin({ workers: 1, env: { IMSYNC_API: 'hosted' } });
  const path = join(folder, 'hosted.csv');
  await writeFile(
    path,
    'userId,identifierType,password\nhosted.a,3,secret-pass-a\nhosted.b,3,short\nhosted.c,3,secret-pass-c\n',
  );
  const { code, stdout, stderr } = await imsyncRun(['import', path, '--wait', '--json'], fleet.env);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ counts: { added: 2, rejected: 1 }, outcome: { imported: 2 } });
  expect(stderr).toContain('no account is asked for');
  const rejects = await readFile(`${path}.rejects.csv`, 'utf8');
  expect(rejects).toContain('password must have 8 to 16 characters');
  expect(rejects).not.toMatch(/short/);
  expect(fleet.simulator.report().commands.account_check?.calls ?? 0).toBe(0);
  const verify = await imsyncRun(['verify', path], fleet.env);
  expect([verify.code, verify.stderr]).toEqual([2, expect.stringContaining('hosted mode')]);
}, 120_000);
