import { freePort } from '../support/redis-server.ts';
import { drained, type Stage, setStage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await setStage({ sensitiveWords: ['forbidden'] });
}, 120_000);
afterAll(() => stage.end(), 60_000);

const json = (text: string): unknown => JSON.parse(text);

/** Redis is empty and no worker runs. */
test('status of an app without any events', async () => {
  const { code, stdout, stderr } = await stage.verb(['status', '--json']);
  expect([code, stderr]).toEqual([0, '']);
  const idle = { waiting: 0, active: 0, delayed: 0, users: 0, startedLastSecond: 0 };
  expect(json(stdout)).toEqual({
    sdkAppId: 1400000000,
    intake: { waiting: 0, parked: 0, oldestAgeMs: null },
    calls: {
      multiaccount_import: { ...idle, quota: 100, rate: 99 },
      account_import: { ...idle, quota: 200, rate: 198 },
    },
    oldestUnfinishedAgeMs: null,
    suspects: { calls: 0, users: [] },
    deadLetters: { total: 0, byReason: {}, byCode: {}, oldestAgeMs: null },
    hold: null,
    paused: false,
    pause: null,
    totals: { accepted: 0, imported: 0, superseded: 0, deadLettered: 0, forgotten: 0 },
    redis: { memoryUsedRatio: null, memory: 'ample', problems: [] },
    workers: [],
    relay: null,
    reconcile: null,
    reconcileDueAt: null,
  });
  const forPeople = await stage.verb(['status']);
  expect(forPeople.stdout).toContain('start one: imsync worker');
  const { code: listed, stdout: none } = await stage.verb(['dlq', 'list', '--json']);
  expect([listed, none]).toEqual([0, '']);
}, 120_000);

test('push prints the event ID, and the stream holds the event', async () => {
  const args = ['--nick', 'Alice', '--face-url', 'https://example.com/a.png', '--type', '0'];
  const { code, stdout, stderr } = await stage.verb(['push', '--user-id', 'alice', ...args]);
  expect([code, stderr]).toEqual([0, '']);
  expect(await stage.client.xrange(stage.keys.stream, '-', '+')).toEqual([
    [stdout.trim(), ['userId', 'alice', 'nick', 'Alice', 'faceUrl', 'https://example.com/a.png']],
  ]);
  const robot = await stage.verb(['push', '--user-id', '@RBT#1', '--type', '1'], { IMSYNC_API: 'legacy' });
  expect(robot.code).toBe(0);

  const status = json((await stage.verb(['status', '--json'])).stdout);
  expect(status).toMatchObject({
    intake: { waiting: 2, parked: 0, oldestAgeMs: expect.any(Number) },
    totals: { accepted: 2, imported: 0 },
  });
  await stage.client.del(stage.keys.stream);
}, 120_000);

test.each([
  [['--user-id', ''], /userId is missing/],
  [['--user-id', 'x'.repeat(33)], /userId is 33 bytes long; the API takes 32/],
  [['--user-id', 'administrator'], /admin account/],
  [['--user-id', '@RBT#1'], /for robots, but .* no Type.*IMSYNC_API=legacy.*own call for robots/],
  [['--user-id', 'a', '--type', '1'], /no Type.*IMSYNC_API=legacy.*own call for robots/],
  [['--user-id', 'a', '--type', '2'], /type must be 0 \(ordinary\) or, with IMSYNC_API=legacy, 1 \(robot\)/],
  [[], /required option '--user-id <id>'/],
  [['--user-id', 'a', '--nickname', 'b'], /unknown option '--nickname'/],
  [['--user-id', 'a', 'b'], /too many arguments/],
])(
  'push refuses %j with 2 and sends nothing',
  async (args, sentence) => {
    const { code, stdout, stderr } = await stage.verb(['push', ...args]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(sentence);
    expect(await stage.client.exists(stage.keys.stream)).toBe(0);
  },
  60_000,
);

test('status counts refused events and dlq list lists them', async () => {
  const worker = await stage.worker();
  const invalidId = await stage.push({ nick: 'nobody', colour: 'green' });
  const profileId = await stage.push({ userId: 'bob', nick: 'a forbidden word', colour: 'red' });
  stage.simulator.setFaults({
    sensitiveWords: ['forbidden'],
    rules: [
      { match: { userIds: ['carol'] }, action: { accountCode: 70402, errorInfo: 'invalid\nparameter' } },
    ],
  });
  const rejectedId = await stage.push({ userId: 'carol', nick: 'Carol', password: 'pass-of-carol' });
  await stage.push({ userId: 'dave' });
  await drained(stage);
  worker.signal('SIGTERM');
  await worker.ended;

  const status = json((await stage.verb(['status', '--json'])).stdout);
  expect(status).toMatchObject({
    intake: { waiting: 0, parked: 0, oldestAgeMs: null },
    deadLetters: {
      total: 3,
      byReason: { invalid: 1, profile: 1, rejected: 1 },
      byCode: { 0: 1, 40005: 1, 70402: 1 },
      oldestAgeMs: expect.any(Number),
    },
    totals: { accepted: 4, imported: 1, superseded: 0, deadLettered: 3 },
    workers: [],
  });

  const { code, stdout, stderr } = await stage.verb(['dlq', 'list', '--json']);
  expect([code, stderr]).toEqual([0, '']);
  const letters = stdout.split('\n').map(json) as { eventId: string }[];
  const letterOf = (id: string) => letters.find(({ eventId }) => eventId === id);
  expect(letters).toHaveLength(3);
  expect(letterOf(invalidId)).toMatchObject({
    userId: '',
    reason: 'invalid',
    errorCode: 0,
    errorInfo: 'userId is missing',
    attempts: [],
    event: { nick: 'nobody', colour: 'green' },
    state: 'dead',
  });
  expect(letterOf(profileId)).toMatchObject({
    userId: 'bob',
    reason: 'profile',
    errorCode: 40005,
    event: { userId: 'bob', nick: 'a forbidden word', colour: 'red' },
    state: 'dead',
  });
  const rejected = letterOf(rejectedId);
  expect(rejected).toMatchObject({
    userId: 'carol',
    reason: 'rejected',
    errorCode: 70402,
    errorInfo: 'invalid parameter',
    httpStatus: 200,
    command: 'account_import',
    event: { userId: 'carol', nick: 'Carol' },
    state: 'dead',
  });
  // Whether a check was made in between depends on who else was in the call.
  const { attempts } = rejected as unknown as { attempts: { command: string }[] };
  expect(attempts.filter(({ command }) => command !== 'account_check')).toEqual([
    { at: expect.any(Number), command: 'multiaccount_import', errorCode: 0, httpStatus: 200 },
    { at: expect.any(Number), command: 'multiaccount_import', errorCode: 0, httpStatus: 200 },
    { at: expect.any(Number), command: 'account_import', errorCode: 70402, httpStatus: 200 },
  ]);
  expect(stdout).not.toContain('pass-of-carol');
  // Bob has an account without the nick.
  expect(stage.simulator.accounts.get('bob')).toMatchObject({ imports: 1, nick: undefined });
  expect(stage.simulator.accounts.has('carol')).toBe(false);

  const forPeople = await stage.verb(['dlq', 'list']);
  expect(forPeople.code).toBe(0);
  for (const id of [invalidId, profileId, rejectedId]) expect(forPeople.stdout).toContain(id);
}, 90_000);

test('verbs exit with 3 when Redis is away, 2 for usage and configuration, 0 for help', async () => {
  const away = { IMSYNC_REDIS_URL: `redis://:secret-password@127.0.0.1:${await freePort()}` };
  const verbs = [['status'], ['dlq', 'list'], ['push', '--user-id', 'a']];
  for (const { code, stdout, stderr } of await Promise.all(verbs.map((args) => stage.verb(args, away)))) {
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/^imsync: Redis [^\n]*ECONNREFUSED[^\n]*\n$/);
    expect(stderr).not.toContain('secret-password');
  }
  const wrong = [['frobnicate'], ['status', '--yaml'], ['dlq', 'list', 'x']];
  const codes = (await Promise.all(wrong.map((args) => stage.verb(args)))).map(({ code }) => code);
  expect(codes).toEqual([2, 2, 2]);
  expect((await stage.verb(['status'], { IMSYNC_SDK_APP_ID: 'abc' })).code).toBe(2);
  for (const { code, stdout } of await Promise.all(
    [['--help'], ['dlq', 'list', '--help']].map((args) => stage.verb(args)),
  )) {
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Usage: imsync/);
  }
}, 90_000);
