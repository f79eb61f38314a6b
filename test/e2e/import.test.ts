import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Scenario } from '../../simulator/scenario/scenario.ts';
import type { ImportSummary } from '../../src/cli/import/run-import.ts';
import { createHoldState } from '../../src/hold/hold-state.ts';
import { booksProblems } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import { type GatewayAnswer, page, startGateway } from '../support/gateway.ts';
import { imsync, imsyncRun } from '../support/process.ts';

/** All tests share one fleet; each test has its own users. */
let fleet: Fleet;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-import-'));
  fleet = await startFleet();
}, 120_000);
afterEach(() => fleet.simulator.setFaults({}));
afterAll(async () => {
  await fleet.stop();
  await rm(folder, { recursive: true });
}, 120_000);

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

function csv(prefix: string, count: number): string {
  const rows = Array.from({ length: count }, (_, i) => `${prefix}${i},Nick ${i}\n`);
  return `userId,nick\n${rows.join('')}`;
}

async function run(args: readonly string[], input?: string | Buffer, env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await imsyncRun(
    ['import', ...args, '--json'],
    { ...fleet.env, ...env },
    input,
  );
  return { code, stderr, summary: (stdout === '' ? {} : JSON.parse(stdout)) as ImportSummary };
}

function account(userId: string) {
  return fleet.simulator.accounts.get(userId);
}

function accountsOf(prefix: string): number {
  return [...fleet.simulator.accounts.keys()].filter((userId) => userId.startsWith(prefix)).length;
}

test('only missing accounts are created; --update overwrites profiles; --wait counts how all events ended', async () => {
  await fleet.addUsers(3, 'some');
  await fleet.drained();
  const path = await file(
    'some.csv',
    'userId,nick\nsome1,From the file\nsome2,\nsome7,Seven\nsome7,Seven again\n',
  );
  const first = await run([path, '--wait']);
  expect(first.code).toBe(0);
  expect(first.summary).toMatchObject({
    complete: true,
    counts: { rows: 4, added: 2, there: 2, rejected: 0, unasked: 0 },
    outcome: { accepted: 2, imported: 1, superseded: 1, deadLettered: 0, underWay: 0 },
  });
  expect(account('some1')?.nick).toBe('N1');
  expect(account('some7')?.nick).toBe('Seven again');

  const again = await run([path, '--wait', '--update']);
  expect(again.summary).toMatchObject({
    counts: { added: 4, there: 0 },
    outcome: { imported: 3, superseded: 1 },
  });
  expect(account('some1')?.nick).toBe('From the file');
}, 120_000);

test('rows that cannot be imported go to the reject file, which can be imported once it is corrected', async () => {
  const path = await file(
    'bad.csv',
    `uid,nickname,pet\nbad1,Ann,"a cat"\n${'x'.repeat(33)},Too long,\nbad 2,"Bob, the 2nd",dog\n1.23E+11,Cid,\nadministrator,Me,\nbad3,Dan\n`,
  );
  const { code, summary, stderr } = await run([path, '--wait']);
  expect(code).toBe(1);
  expect(stderr).toContain('userId from uid, nick from nickname; not used: pet');
  expect(summary).toMatchObject({
    counts: { rows: 6, added: 2, rejected: 4 },
    rejectFile: `${path}.rejects.csv`,
  });
  expect(summary.warnings).toEqual([expect.stringContaining('1.23E+11 in line 5')]);
  const rejects = (await readFile(`${path}.rejects.csv`, 'utf8')).split('\n');
  expect(rejects[0]).toBe('line,reason,uid,nickname,pet');
  expect(rejects.slice(1).map((line) => line.split(',')[0])).toEqual(['3', '4', '5', '6', '']);
  expect(rejects[2]).toMatch(/^4,.*,bad 2,"Bob, the 2nd",dog$/);
  expect(await fleet.redis.zcard(fleet.keys.deadByTime)).toBe(0);

  const mended = rejects
    .slice(0, 3)
    .filter((_, i) => i !== 1)
    .join('\n')
    .replace('bad 2,', 'bad2,');
  const again = await run([await file('mended.csv', mended), '--wait']);
  expect(again).toMatchObject({ code: 0, summary: { counts: { added: 1 } } });
  expect(account('bad2')?.nick).toBe('Bob, the 2nd');
}, 120_000);

test('rows of robots are rejected with a reason and a remedy, also in the dry run; the legacy form takes them', async () => {
  const path = await file('robots.csv', 'userId,type\nplain1,0\nrobot1,1\n@RBT#2,1\n@RBT#3,\nplain4,\n');
  const wayOut = /no Type.*IMSYNC_API=legacy.*own call for robots/;
  const dry = await imsyncRun(['import', path, '--dry-run'], fleet.env);
  expect(dry.code).toBe(1);
  expect(dry.stdout).toMatch(/^valid +2 /m);
  expect(dry.stdout).toMatch(/^rejected +3$/m);
  expect(dry.stdout).toMatch(/^ {2}2: type 1 asks for a robot, .* \(first in line 3\)$/m);
  expect(dry.stdout).toMatch(wayOut);
  const dryLegacy = await imsyncRun(['import', path, '--dry-run', '--json'], {
    ...fleet.env,
    IMSYNC_API: 'legacy',
  });
  expect(JSON.parse(dryLegacy.stdout)).toMatchObject({ valid: 4, rejected: 1, alone: 2 });

  const { code, summary } = await run([path, '--wait']);
  expect(code).toBe(1);
  expect(summary).toMatchObject({ counts: { added: 2, rejected: 3 }, outcome: { imported: 2 } });
  const rejects = (await readFile(`${path}.rejects.csv`, 'utf8')).split('\n').slice(1, -1);
  expect(rejects.map((line) => line.split(',')[0])).toEqual(['3', '4', '5']);
  for (const line of rejects) expect(line).toMatch(wayOut);
  expect([account('plain1')?.type, account('robot1'), account('@RBT#2')]).toEqual([0, undefined, undefined]);
  expect(await fleet.redis.zcard(fleet.keys.deadByTime)).toBe(0);
}, 120_000);

test('a killed import continues where it was and skips no row', async () => {
  const count = 3_000;
  const path = await file('killed.csv', `${csv('killed', count)}no good,x\n`);
  // The quota slows the import down, so that it can be killed before its end, when its checkpoint is removed.
  const slow = { ...fleet.env, IMSYNC_QUOTA_ACCOUNT_CHECK_PER_SECOND: '5' };
  const rowsDone = async (): Promise<number> => {
    const text = await readFile(`${path}.imsync-checkpoint`, 'utf8').catch(() => '{"rows":0}');
    return (JSON.parse(text) as { rows: number }).rows;
  };
  let before = 0;
  for (let kills = 0; kills < 2; kills++) {
    const importer = imsync(['import', path], slow);
    await eventually('a checkpoint', async () => (await rowsDone()) > before);
    importer.signal('SIGKILL');
    expect(await importer.ended).toBe('SIGKILL');
    before = await rowsDone();
    expect(before).toBeLessThan(count);
  }
  const { code, summary, stderr } = await run([path, '--wait']);
  expect(code).toBe(1);
  expect(stderr).toContain('Continuing after row');
  expect(accountsOf('killed')).toBe(count);
  expect(summary.counts).toMatchObject({ rows: count + 1, rejected: 1 });
  expect(summary.outcome).toMatchObject({ deadLettered: 0, underWay: 0 });
  expect(summary.outcome?.accepted).toBeGreaterThanOrEqual(count);
  expect(await readFile(`${path}.rejects.csv`, 'utf8')).toMatch(/^line,reason,userId,nick\n3002,[^\n]*\n$/);
  await expect(readFile(`${path}.imsync-checkpoint`)).rejects.toThrow('ENOENT');
  expect(await booksProblems(fleet.redis, fleet.keys)).toEqual([]);
}, 120_000);

test('Ctrl-C ends with 130 and says how to continue, and the import continues', async () => {
  const path = await file('stopped.csv', csv('stopped', 2_000));
  const importer = imsync(['import', path], { ...fleet.env, IMSYNC_QUOTA_ACCOUNT_CHECK_PER_SECOND: '15' });
  await eventually('some are added', async () => accountsOf('stopped') > 0);
  importer.signal('SIGINT');
  expect(await importer.ended).toBe(130);
  expect(importer.stderr()).toMatch(/Stopped after row \d+\. To continue: run the same command again\./);
  expect(importer.lines.join('\n')).toContain('so far');
  const done = Number(/after row (\d+)/.exec(importer.stderr())?.[1]);
  const { code, stderr } = await run([path, '--wait']);
  expect(code).toBe(0);
  expect(stderr.replaceAll(',', '')).toContain(`Continuing after row ${done}.`);
  expect(accountsOf('stopped')).toBe(2_000);
}, 120_000);

test('a checkpoint of another file or of other options is refused', async () => {
  const path = await file('other.csv', csv('other', 3));
  await writeFile(
    `${path}.imsync-checkpoint`,
    JSON.stringify({ format: 1, identity: 'of another', rows: 2, rejectBytes: 0, counts: {}, tally: 't' }),
  );
  const refused = await run([path]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/another file, of another app or with other options.*--restart/);
  expect(await run([path, '--restart', '--wait'])).toMatchObject({
    code: 0,
    summary: { counts: { added: 3 } },
  });
}, 120_000);

test('standard input, gzip, GBK and NDJSON are read', async () => {
  const gbk = Buffer.concat([
    Buffer.from('id;nick\ngbk1;'),
    Buffer.from([0xd0, 0xa1, 0xc3, 0xf7]),
    Buffer.from('\n'),
  ]);
  expect(await run(['-', '--wait', '--skip-rows', '1'], gzipSync(csv('piped', 3)))).toMatchObject({
    code: 0,
    summary: { counts: { rows: 2, added: 2 } },
  });
  expect(accountsOf('piped')).toBe(2);
  const path = await file('gbk.csv', gbk);
  const refused = await run([path]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('--encoding gbk');
  expect((await run([path, '--encoding', 'gbk', '--wait'])).code).toBe(0);
  expect(account('gbk1')?.nick).toBe('小明');
  const ndjson = await file('lines.ndjson.gz', gzipSync('{"user_id":"nd1","name":"One"}\n{"userId":7}\n'));
  expect(await run([ndjson, '--wait'])).toMatchObject({
    code: 1,
    summary: { counts: { added: 1, rejected: 1 } },
  });
  expect(JSON.parse(await readFile(`${ndjson}.rejects.ndjson`, 'utf8'))).toMatchObject({
    line: 2,
    reason: expect.stringContaining('not a number'),
    userId: 7,
  });
}, 120_000);

test('an account that the API refuses becomes a dead letter, and --wait counts it', async () => {
  fleet.simulator.setFaults({
    rules: [
      {
        match: { command: 'multiaccount_import', userIds: ['dead1'] },
        action: { failAccounts: true, singleCode: 70399 },
      },
      { match: { command: 'account_import', userIds: ['dead1'] }, action: { accountCode: 70399 } },
    ],
  } as Scenario);
  const path = await file('dead.csv', csv('dead', 3));
  const { code, summary } = await run([path, '--wait']);
  expect(code).toBe(1);
  expect(summary.outcome).toMatchObject({
    accepted: 3,
    imported: 2,
    deadLettered: 1,
    deadByReason: { rejected: 1 },
    underWay: 0,
  });
}, 120_000);

test('a paused import says so and waits; with a wrong key it says so and ends', async () => {
  const path = await file('held.csv', csv('held', 300));
  const refused = await run([path], undefined, { IMSYNC_SDK_SECRET_KEY: 'f'.repeat(64) });
  expect(refused.code).toBe(3);
  expect(refused.stderr).toMatch(/The API does not say which accounts exist: 70009.*imsync doctor.*--update/);
  expect(accountsOf('held')).toBe(0);

  const hold = createHoldState(fleet.redis, fleet.keys);
  await hold.pause('moving house', Date.now());
  // No account is asked for. The import waits before it adds rows.
  const importer = imsync(['import', path, '--wait', '--update'], fleet.env);
  await eventually('it says so', () => importer.stderr().includes('paused all calls (moving house)'));
  expect(accountsOf('held')).toBe(0);
  expect((await fleet.books()).waiting).toBe(0);
  await hold.resume();
  expect(await importer.ended).toBe(0);
  expect(accountsOf('held')).toBe(300);
}, 90_000);

/** A gateway that answers every account_check in which one user stands. */
async function gatewayAgainst(bad: string, answer: GatewayAnswer) {
  const gateway = await startGateway(fleet.simulator.url);
  gateway.setRule(({ command, userIds }) =>
    command === 'account_check' && userIds.includes(bad) ? answer : undefined,
  );
  return gateway;
}

test.each([
  ['403, in the first hundred', page(403), 13, 'HTTP 403'],
  ['silence, in the fourth', { kind: 'silence' } as const, 350, 'no answer in time'],
])(
  'a user whose checks fail is not checked, and all others are imported: %s',
  async (_name, answer, row, words) => {
    const prefix = `apart${row}n`;
    const bad = `${prefix}${row}`;
    const gateway = await gatewayAgainst(bad, answer);
    const path = await file(`${prefix}.csv`, csv(prefix, 500));
    const env = { IMSYNC_BASE_URL: gateway.url, IMSYNC_CALL_TIMEOUT_MS: '3100' };
    const { code, summary, stderr } = await run([path, '--wait'], undefined, env);
    await gateway.close();
    expect(code).toBe(1);
    expect(summary).toMatchObject({
      complete: true,
      counts: { rows: 500, added: 499, there: 0, rejected: 0, unasked: 1 },
      outcome: { accepted: 499, imported: 499 },
    });
    expect(accountsOf(prefix)).toBe(499);
    expect(stderr).not.toContain('MaxListeners');
    expect(stderr).not.toContain('tried again until');
    const rejects = await readFile(`${path}.rejects.csv`, 'utf8');
    expect(rejects.split('\n')).toHaveLength(3);
    expect(rejects).toContain(`account_check does not say whether the account is there: ${words}`);
    expect(rejects).toContain(`,${bad},Nick ${row}`);
    await expect(readFile(`${path}.imsync-checkpoint`)).rejects.toThrow('ENOENT');
  },
  120_000,
);

test('Ctrl-C while users are told apart ends with 130, and the import continues', async () => {
  const gateway = await gatewayAgainst('halfway150', { kind: 'silence' });
  const path = await file('halfway.csv', csv('halfway', 300));
  const importer = imsync(['import', path], {
    ...fleet.env,
    IMSYNC_BASE_URL: gateway.url,
    IMSYNC_CALL_TIMEOUT_MS: '3100',
  });
  await eventually('it says so', () => importer.stderr().includes('They are told apart'), 30_000);
  importer.signal('SIGINT');
  expect(await importer.ended).toBe(130);
  expect(importer.stderr()).toContain('Stopped after row 100.');
  await gateway.close();
  const { code, summary } = await run([path, '--wait']);
  expect(code).toBe(0);
  expect(summary.counts).toMatchObject({ rows: 300, added: 300, unasked: 0 });
  expect(accountsOf('halfway')).toBe(300);
}, 120_000);

test('what every check gets is waited out, or ends the import at its very first call', async () => {
  const gateway = await startGateway(fleet.simulator.url);
  const path = await file('every.csv', csv('every', 300));
  const env = { IMSYNC_BASE_URL: gateway.url };
  gateway.setRule(() => page(403));
  const refused = await run([path], undefined, env);
  expect(refused.code).toBe(3);
  expect(refused.stderr).toMatch(/The API does not say which accounts exist: HTTP 403/);
  expect(accountsOf('every')).toBe(0);

  gateway.setRule(() => page(503));
  const importer = imsync(['import', path, '--wait'], { ...fleet.env, ...env });
  await eventually('it says so', () => importer.stderr().includes('It is tried again until it does'), 30_000);
  gateway.setRule(undefined);
  expect(await importer.ended).toBe(0);
  expect(accountsOf('every')).toBe(300);
  await gateway.close();
}, 120_000);

test('a dry run counts everything without Redis and without the API', async () => {
  const path = await file(
    'dry.csv',
    `userId,nick,faceUrl\ndry1,${'n'.repeat(501)},\ndry2,Ann,https://a/b.png\n${'y'.repeat(33)},,\n${'z'.repeat(40)},,\na b,,\n`,
  );
  const { code, stdout } = await imsyncRun(['import', path, '--dry-run', '--json']);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    rows: 5,
    valid: 2,
    rejected: 3,
    withNick: 2,
    withFaceUrl: 1,
    longProfiles: 1,
    reasons: [
      { reason: 'userId is N bytes long; the API takes 32', rows: 2, firstLine: 4 },
      { reason: expect.stringContaining('printable ASCII'), rows: 1, firstLine: 6 },
    ],
  });
  await expect(readFile(`${path}.rejects.csv`)).rejects.toThrow('ENOENT');
  const text = await imsyncRun(['import', path, '--dry-run']);
  expect(text.stdout).toContain('2: userId is N bytes long; the API takes 32 (first in line 4)');
}, 120_000);

test('a file that cannot be used ends with 2 and says what to do', async () => {
  const { code, stderr } = await run([await file('headless.csv', 'u1,Ann\nu2,Bob\n')]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/No column is the user ID.*--no-header/)]);
}, 120_000);
