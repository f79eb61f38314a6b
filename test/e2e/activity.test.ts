import { hostname, userInfo } from 'node:os';
import { eventually } from '../support/eventually.ts';
import { type Stage, setStage } from '../support/stage.ts';

/** Who paused, resumed, redrove, deleted and forgot: told by `imsync activity`. */
let stage: Stage;
const me = `${userInfo().username}@${hostname()}`;

beforeAll(async () => {
  stage = await setStage({
    scenario: { rules: [{ match: { userIdPattern: '^bad' }, action: { accountCode: 70402 } }] },
  });
}, 120_000);
afterAll(() => stage.end(), 60_000);

async function acts(): Promise<{ at: number; what: string; by: string; detail: string }[]> {
  const { stdout, code } = await stage.verb(['activity', '--json']);
  expect(code).toBe(0);
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
}

test('nothing was done yet', async () => {
  expect((await stage.verb(['activity'])).stdout).toBe('no operator has done anything yet');
  expect(await acts()).toEqual([]);
});

test('each act is listed once, with who and how it ended; what changed nothing is not', async () => {
  const fromMs = Date.now() - 60_000;
  await stage.verb(['pause', '--reason', 'a deploy', '--as', 'Ann, ticket 7']);
  expect((await stage.verb(['status'])).stdout).toContain(
    `paused by an operator, Ann, ticket 7 (${me}), since `,
  );
  await stage.verb(['pause']);
  await stage.verb(['resume']);
  await stage.verb(['resume']);
  await stage.worker();
  for (const userId of ['bad1', 'bad2', 'bad3']) await stage.push({ userId });
  await eventually('three letters', async () => (await stage.client.zcard(stage.keys.deadByTime)) === 3);
  await stage.verb(['dlq', 'redrive', '--dry-run']);
  await stage.verb(['dlq', 'redrive', '--user', 'bad1', '--as', 'Bob']);
  await eventually(
    'it is dead once more',
    async () => (await stage.client.zcard(stage.keys.deadByTime)) === 3,
  );
  await stage.verb(['user', 'forget', 'bad2', '--dry-run']);
  await stage.verb(['user', 'forget', 'bad2', '--yes']);
  await stage.verb(['dlq', 'delete', '--user', 'nobody']);
  await stage.verb(['dlq', 'delete', '--user', 'bad3']);
  const found = await acts();
  expect(found.map(({ what, by, detail }) => [what, by, detail]).reverse()).toEqual([
    ['pause', `Ann, ticket 7 (${me})`, 'a deploy'],
    ['resume', me, ''],
    ['redrive', `Bob (${me})`, 'r1 done: 1 letter redriven'],
    ['forget', me, 'a user: 1 trace erased'],
    ['delete', me, '1 letter deleted'],
  ]);
  for (const { at } of found) expect(at).toBeGreaterThan(fromMs);
  const { stdout } = await stage.verb(['activity', '--limit', '2']);
  expect(stdout).toMatch(/^\S+Z {2}delete {2}.*: 1 letter deleted\n\S+Z {2}forget {2}.*$/);
  // The history outlives users who are forgotten.
  expect(JSON.stringify(found)).not.toMatch(/bad\d/);
}, 120_000);

test('text from elsewhere does not reach the terminal as it is', async () => {
  await stage.client.xadd(
    stage.keys.activity,
    '*',
    'what',
    'pause',
    'by',
    'a\u202eb',
    'detail',
    '\u001b[31mred',
  );
  expect((await stage.verb(['activity', '--limit', '1'])).stdout).toMatch(
    /pause {3}a\\u\{202e\}b: \\u\{1b\}\[31mred$/,
  );
});

test('an act that cannot be recorded is done, and said to be unrecorded', async () => {
  await stage.client.del(stage.keys.activity);
  await stage.client.set(stage.keys.activity, 'no stream');
  const { code, stdout, stderr } = await stage.verb(['pause']);
  expect([code, stdout]).toEqual([0, 'paused: no calls are made until imsync resume']);
  expect(stderr).toMatch(/^imsync: the pause was done, but could not be recorded: .*WRONGTYPE/);
});

test('what stands in Redis touches no terminal and forges no line, whoever wrote it', async () => {
  await stage.client.del(stage.keys.activity);
  const evil = 'x\x1b[2J\x9b2J\u202ey\nstate running';
  await stage.client.hset(
    stage.keys.hold,
    'paused',
    JSON.stringify({ reason: evil, since: 1_700_000_000_000, by: evil }),
  );
  await stage.client.xadd(stage.keys.activity, '*', 'what', evil, 'by', evil, 'detail', evil);
  await stage.client.xadd(stage.keys.activity, '*', 'by', 'somebody');
  const verbs = [
    ['status'],
    ['pause'],
    ['doctor'],
    ['activity'],
    ['activity', '--json'],
    ['status', '--json'],
  ];
  for (const verb of verbs) {
    const { stdout, stderr } = await stage.verb(verb);
    const lines = `${stdout}\n${stderr}`.split('\n');
    expect([verb, lines.filter((line) => /[\p{Cc}\p{Cf}]|^state running/u.test(line))]).toEqual([verb, []]);
    expect([verb, stdout.includes('x\\u')]).toEqual([verb, true]);
  }
  expect((await stage.verb(['activity'])).stdout).toMatch(/Z {2}unknown somebody/);
  expect((await acts())[1]).toMatchObject({ what: evil, by: evil, detail: evil });
  await stage.verb(['resume']);
}, 120_000);

test('a reason is stored as one line', async () => {
  await stage.verb(['pause', '--reason', 'a deploy\n\x1b[2Jof ours']);
  expect((await stage.verb(['status'])).stdout).toContain('"a deploy [2Jof ours"');
  await stage.verb(['resume']);
}, 120_000);

test('tail refuses what could show nothing, or everything', async () => {
  for (const flags of [
    ['--user', ''],
    ['--code', '00'],
    ['--code', '070402'],
    ['--code', ''],
  ]) {
    const { code, stderr } = await stage.verb(['tail', ...flags, '--for', '1s']);
    expect([flags, code, stderr.includes('It must')]).toEqual([flags, 2, true]);
  }
}, 120_000);
