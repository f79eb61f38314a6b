import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { watchCommands } from '../../bench/stage/watch-commands.ts';
import { eventually } from '../support/eventually.ts';
import type { ImsyncProcess } from '../support/process.ts';
import { drained, type Stage, setStage } from '../support/stage.ts';

/** `imsync tail` beside two real workers. */

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
let stage: Stage;
beforeEach(async () => {
  stage = await setStage({
    scenario: {
      rules: [
        { match: { userIdPattern: '^bad' }, action: { accountCode: 70402, errorInfo: 'no \u202esuch user' } },
        { match: { userIds: ['later'], timesPerAccount: 1 }, action: { errorCode: 70500 } },
      ],
    },
  });
  await Promise.all([stage.worker(), stage.worker()]);
}, 120_000);
afterEach(() => stage.end(), 60_000);

/** A tail to which the workers send. */
async function tail(...args: string[]): Promise<ImsyncProcess> {
  const process = stage.start(['tail', ...args]);
  await eventually(`tail ${args.join(' ')} listens`, async () => {
    if (process.stderr().includes('error')) throw new Error(process.stderr());
    return process.stderr().includes('send');
  });
  return process;
}
const json = (process: ImsyncProcess) =>
  process.lines.map((line) => JSON.parse(line) as Record<string, unknown>);

async function pushAll(): Promise<void> {
  for (const userId of ['alice', 'bob', 'bad-1', 'later', 'alice', 'bad-2']) await stage.push({ userId });
  await stage.push({ userId: 'x'.repeat(40), nick: 'too long' });
  await drained(stage);
}

test('every filter shows its part of what two workers do', async () => {
  // A worker of an older version, which knows no feed.
  const seen = JSON.stringify({ version: '0.1.0', lastSeen: Date.now() });
  await stage.client.hset(stage.keys.workers, 'old-1', seen);
  const [all, text, calls, code, user, dead, fault] = await Promise.all([
    tail('--json'),
    tail(),
    tail('--json', '--calls'),
    tail('--json', '--code', '70402'),
    tail('--json', '--user', 'later'),
    tail('--json', '--outcome', 'dead-lettered', '--outcome', 'superseded'),
    tail('--json', '--code', 'timeout', '--code', '502'),
  ]);
  expect(all.stderr()).toContain('2 of 3 workers send; old-1 (version 0.1.0) sends nothing');
  await pushAll();
  const ends = await eventually('all seven ended', () => {
    const found = json(all).filter(({ kind }) => kind === 'outcome');
    return found.length === 7 && found;
  });
  expect(ends.map(({ userId, outcome }) => `${userId} ${outcome}`).sort()).toEqual(
    [
      ...[
        'alice imported',
        `alice ${ends.some((one) => one.outcome === 'superseded') ? 'superseded' : 'imported'}`,
      ],
      ...['bad-1 dead-lettered', 'bad-2 dead-lettered', 'bob imported', 'later imported'],
      `${'x'.repeat(40)} dead-lettered`,
    ].sort(),
  );
  await eventually('the others have theirs', () => dead.lines.length >= 3 && code.lines.length >= 4);
  expect(json(calls).every(({ kind }) => kind === 'call')).toBe(true);
  expect(json(code).every((one) => one.answer === '70402' || one.errorCode === 70402)).toBe(true);
  expect(json(dead).every(({ outcome }) => outcome === 'dead-lettered' || outcome === 'superseded')).toBe(
    true,
  );
  // The calls that carried the user, the failed one among them, and the end.
  expect(json(user).filter(({ kind }) => kind === 'outcome')).toMatchObject([{ outcome: 'imported' }]);
  expect(json(user).map(({ answer }) => answer)).toContain('70500');
  expect(fault.lines).toEqual([]);
  const letter = text.lines.find((line) => line.includes('dead-lettered  bad-1'));
  expect(letter).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z {2}dead-lettered {2}bad-1 +\d+-\d+ {2}rejected 70402$/);
  for (const one of [all, text, calls, code, user, dead, fault]) {
    one.signal('SIGINT');
    expect(await one.ended).toBe(0);
    expect(one.lines.join('\n')).not.toMatch(/\u202e|too long/);
  }
}, 90_000);

test('it ends after a count, after a time, with its reader, and refuses what contradicts itself', async () => {
  const counted = await tail('--count', '3');
  const timed = stage.start(['tail', '--for', '4s']);
  const run = promisify(execFile)('sh', ['-c', `node ${cli} tail | head -n 2`], {
    env: { ...process.env, ...stage.env },
  });
  await eventually('three watch', async () => {
    const channels = (await stage.client.call('PUBSUB', 'CHANNELS', `${stage.keys.feedPrefix}*`)) as string[];
    return channels.length === 3;
  });
  let i = 0;
  const pushing = setInterval(() => void stage.push({ userId: `u${i++}` }), 50);
  expect(await counted.ended).toBe(0);
  expect(counted.lines).toHaveLength(3);
  expect((await run).stdout.trim().split('\n')).toHaveLength(2);
  expect(await timed.ended).toBe(0);
  clearInterval(pushing);
  for (const [args, sentence] of [
    [['--calls', '--outcomes'], /--calls and --outcomes exclude each other/],
    [['--calls', '--outcome', 'imported'], /--calls shows none/],
    [['--outcome', 'lost'], /Allowed choices are imported, superseded, dead-lettered/],
    [['--code', 'x'], /a number without zeros in front, or one of .*timeout/],
    [['--for', '5'], /a time such as 30s/],
    [['--count', '0'], /whole number/],
  ] as const) {
    const { code, stderr } = await stage.verb(['tail', ...args]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(sentence)]);
  }
}, 90_000);

test('a watcher that is killed leaves no worker publishing', async () => {
  const watch = await watchCommands(stage.client, stage.redis.port);
  const published = (): number =>
    watch.lines.filter(
      ({ command, first }) => /^publish$/i.test(command) && first.startsWith(stage.keys.feedPrefix),
    ).length;
  const settled = (): number => watch.lines.filter(({ command }) => /^evalsha$/i.test(command)).length;
  await pushAll();
  await watch.caughtUp();
  expect(published()).toBe(0);
  const watcher = await tail();
  await stage.push({ userId: 'seen' });
  await eventually('it is shown', () => watcher.lines.some((line) => line.includes('seen')));
  await watch.caughtUp();
  expect(published()).toBeGreaterThan(0);
  watcher.signal('SIGKILL');
  await watcher.ended;
  let before = -1;
  let i = 0;
  await eventually(
    'nothing is published while calls go on',
    async () => {
      const callsBefore = settled();
      for (let n = 0; n < 10; n++) await stage.push({ userId: `on-${i++}` });
      await drained(stage);
      await new Promise((resolve) => setTimeout(resolve, 300));
      await watch.caughtUp();
      const isQuiet = published() === before && settled() > callsBefore;
      before = published();
      return isQuiet;
    },
    20_000,
  );
  watch.close();
}, 90_000);

test('it says that Redis went and came back, and goes on', async () => {
  const watcher = await tail();
  await stage.redis.kill();
  await eventually('it says so', () => watcher.stderr().includes('Redis is away: '));
  await stage.redis.restart();
  await eventually('and this', () =>
    watcher.stderr().includes('Redis is back; what happened meanwhile is not shown'),
  );
  await stage.push({ userId: 'afterwards' });
  await eventually('it goes on', async () => {
    await stage.push({ userId: 'afterwards' });
    return watcher.lines.some((line) => line.includes('afterwards'));
  });
  watcher.signal('SIGTERM');
  expect(await watcher.ended).toBe(143);
}, 90_000);

test('without Redis it ends with 3, and without workers it says so', async () => {
  const { code, stderr } = await stage.verb(['tail'], { IMSYNC_REDIS_URL: 'redis://127.0.0.1:1' });
  expect([code, stderr]).toEqual([3, expect.stringContaining('Redis cannot be reached')]);
  const lonely = await stage.verb(['tail', '--for', '4s'], { IMSYNC_SDK_APP_ID: '1400000001' });
  expect([lonely.code, lonely.stderr]).toEqual([
    0,
    expect.stringContaining('no worker runs: start one with imsync worker'),
  ]);
}, 120_000);
