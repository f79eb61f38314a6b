import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scenario } from '../../simulator/scenario/scenario.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import { apiError, page, startGateway } from '../support/gateway.ts';
import { imsyncRun } from '../support/process.ts';

let fleet: Fleet;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-verify-'));
  fleet = await startFleet();
}, 120_000);
afterAll(async () => {
  await fleet.stop();
  await rm(folder, { recursive: true });
}, 120_000);

async function verify(...args: string[]) {
  return verifyAt({}, ...args);
}

async function verifyAt(env: Record<string, string>, ...args: string[]) {
  const { code, stdout, stderr } = await imsyncRun(['verify', ...args, '--json'], { ...fleet.env, ...env });
  return { code, stderr, counts: (stdout === '' ? {} : JSON.parse(stdout).counts) as Record<string, number> };
}

test('counts imported, dead-lettered, missing and rejected users; writes or adds the missing ones', async () => {
  fleet.simulator.setFaults({
    rules: [
      {
        match: { command: 'multiaccount_import', userIds: ['u3'] },
        action: { failAccounts: true, singleCode: 70399 },
      },
      { match: { command: 'account_import', userIds: ['u3'] }, action: { accountCode: 70399 } },
      { match: { command: 'account_check', userIds: ['odd'] }, action: { accountCode: 70500 } },
    ],
  } as Scenario);
  await fleet.addUsers(4);
  await fleet.drained();
  const path = join(folder, 'users.csv');
  const rows = ['u0,A', 'u1,B', 'u2,C', 'u3,D', 'new1,"E, F"', 'new2,', 'a b,G', 'odd,H', 'u0,A'];
  await writeFile(path, `userId,nick\n${rows.join('\n')}\n`);

  const missing = join(folder, 'missing.csv');
  const first = await verify(path, '--missing-file', missing);
  expect(first.code).toBe(1);
  expect(first.counts).toMatchObject({
    rows: 9,
    imported: 4,
    dead: 1,
    missing: 2,
    rejected: 1,
    unasked: 1,
    enqueued: 0,
  });
  expect(await readFile(missing, 'utf8')).toMatch(
    /^line,reason,userId,nick\n5,in dead letters,u3,D\n6,missing,new1,"E, F"\n7,missing,new2,\n8,.*,a b,G\n9,.*70500.*,odd,H\n$/,
  );

  const second = await verify(path, '--enqueue-missing');
  expect(second.counts).toMatchObject({ missing: 2, enqueued: 2 });
  await fleet.drained();
  expect(fleet.simulator.accounts.get('new1')?.nick).toBe('E, F');
  expect(fleet.simulator.accounts.has('u3')).toBe(false);

  const good = join(folder, 'good.csv');
  await writeFile(good, 'userId\nu0\nnew1\nnew2\n');
  expect(await verify(good)).toMatchObject({ code: 0, counts: { rows: 3, imported: 3 } });
  const text = await imsyncRun(['verify', path], fleet.env);
  expect(text.stdout).toMatch(/^rows +9\nimported +6\ndead letters +1 {2}see imsync dlq list\nmissing +0\n/);
}, 90_000);

test('a row of a robot is rejected and not counted as imported, because its account may be an ordinary one', async () => {
  await fleet.addUsers(1, 'bot');
  await fleet.drained();
  const path = join(folder, 'robots.csv');
  await writeFile(path, 'userId,type\nbot0,1\nbot0,0\n');
  const missing = join(folder, 'robots-missing.csv');
  const { code, counts } = await verify(path, '--missing-file', missing, '--enqueue-missing');
  expect(code).toBe(1);
  expect(counts).toMatchObject({ rows: 2, imported: 1, rejected: 1, enqueued: 0 });
  expect(await readFile(missing, 'utf8')).toMatch(/^line,.*\n2,.*no Type.*IMSYNC_API=legacy.*,bot0,1\n$/);
}, 120_000);

test.each([
  ['403', page(403)],
  ['70500', apiError(70500)],
])(
  'a user whose checks fail could not be asked for, and all others are looked up: %s',
  async (name, answer) => {
    await fleet.addUsers(250, `of${name}n`);
    await fleet.drained();
    const bad = `of${name}n13`;
    const gateway = await startGateway(fleet.simulator.url);
    gateway.setRule(({ userIds }) => (userIds.includes(bad) ? answer : undefined));
    const path = join(folder, `apart-${name}.csv`);
    const rows = Array.from({ length: 260 }, (_, i) => `of${name}n${i}\n`);
    await writeFile(path, `userId\n${rows.join('')}`);
    const missing = join(folder, `apart-${name}-missing.csv`);
    const { code, counts } = await verifyAt(
      { IMSYNC_BASE_URL: gateway.url },
      path,
      '--missing-file',
      missing,
    );
    await gateway.close();
    expect(code).toBe(1);
    expect(counts).toMatchObject({ rows: 260, imported: 249, missing: 10, unasked: 1 });
    expect(await readFile(missing, 'utf8')).toMatch(new RegExp(`^15,.*${name}.*,${bad}$`, 'm'));
  },
  90_000,
);

test('a Redis that is out of reach ends with 3 and a sentence', async () => {
  const path = join(folder, 'one.csv');
  await writeFile(path, 'userId\nu0\n');
  const { code, stderr } = await imsyncRun(['verify', path], {
    ...fleet.env,
    IMSYNC_REDIS_URL: 'redis://127.0.0.1:1',
  });
  expect([code, stderr]).toEqual([
    3,
    expect.stringContaining('Redis cannot be reached at redis://127.0.0.1:1'),
  ]);
}, 120_000);
