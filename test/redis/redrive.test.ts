import type { StoredLetter } from '../../src/ledger/letters/dead-letters.ts';
import { deleteLetters, readLetters } from '../../src/ledger/letters/letter-store.ts';
import { type RedriveRequest, redriveUsers } from '../../src/ledger/letters/redrive.ts';
import { entriesOf, readRecord } from '../../src/ledger/record.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { audit, booksProblems } from '../support/audit.ts';
import { apiAnswer, createCallDriver, type SentAccount } from '../support/call-driver.ts';
import { letterProblems } from '../support/letter-audit.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

const keys = keysOf(1400000000);
let server: TestRedis;
let redis: RedisClient;
let code = 0;
/** Of the calls: the old one is the only one that makes robots. */
let form: 'current' | 'legacy' = 'current';
let sent: { command: string; accounts: readonly SentAccount[] }[] = [];

beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
});
beforeEach(async () => {
  await redis.flushall();
  code = 0;
  form = 'current';
  sent = [];
});
afterEach(async () => {
  expect((await audit(redis, keys)).problems).toEqual([]);
  expect(await booksProblems(redis, keys)).toEqual([]);
  expect(await letterProblems(redis, keys)).toEqual([]);
});
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

const driver = () => {
  const api: Parameters<typeof createCallDriver>[2] = async (command, accounts) => {
    sent.push({ command, accounts });
    // A profile fault is over when the profile is left out.
    return apiAnswer(code === 40005 && accounts.every(({ Nick }) => Nick === undefined) ? 0 : code);
  };
  return createCallDriver(redis, keys, api, 'noted', form);
};

async function push(fields: Readonly<Record<string, string>>): Promise<string> {
  return String(await redis.xadd(keys.stream, '*', ...Object.entries(fields).flat()));
}

/** Everything that waits or stands in a call is worked off; the API answers `errorCode` to all. */
async function settleAll(errorCode: number): Promise<void> {
  code = errorCode;
  const { cut, run } = driver();
  for (let calls = await cut(); calls.length > 0; ) calls = await cut();
  for (const callId of await redis.zrange(keys.open, '0', '-1')) await run(callId);
}

async function deadLetter(errorCode: number, fields: Readonly<Record<string, string>>): Promise<string> {
  const eventId = await push(fields);
  await settleAll(errorCode);
  return eventId;
}

function redrive(users: readonly string[], more: Partial<RedriveRequest> = {}) {
  return redriveUsers(
    { redis, keys },
    {
      users,
      by: 'op@host',
      batchCommand: 'multiaccount_import',
      singleCommand: 'account_import',
      maxOpenCalls: 20,
      dryRun: false,
      early: false,
      invalid: false,
      ...more,
    },
  );
}

async function letter(eventId: string): Promise<StoredLetter> {
  const [found] = await readLetters({ redis, keys }, [eventId]);
  if (found === undefined) throw new Error(`no letter of ${eventId}`);
  return found;
}

const words = (answer: Awaited<ReturnType<typeof redriveUsers>>) => answer.users.map(({ word }) => word);

it('moves all letters of a user into one call of class redrive, and imports the newest', async () => {
  const first = await deadLetter(70402, { userId: 'ann', nick: 'Old', colour: 'red' });
  const second = await deadLetter(70402, {
    userId: 'ann',
    nick: 'Ann "é"\n\u0001',
    faceUrl: 'https://a.b/c',
  });
  const answer = await redrive(['ann', 'nobody']);
  expect(words(answer)).toEqual(['redriven', 'none']);
  expect(answer.users[0]?.letters).toBe(2);
  expect(answer.calls).toEqual([{ callId: expect.any(String), command: 'multiaccount_import' }]);
  expect((await letter(first)).state).toBe('redriving');
  const record = await redis.hgetall(keys.callPrefix + (answer.calls[0]?.callId ?? ''));
  const read = readRecord('', 0, record);
  expect(read.slotClass).toBe('redrive');
  expect(
    entriesOf(read)
      .map(({ eventId }) => eventId)
      .sort(),
  ).toEqual([first, second].sort());

  sent = [];
  await settleAll(0);
  expect(sent).toEqual([
    {
      command: 'multiaccount_import',
      accounts: [{ UserID: 'ann', Nick: 'Ann "é"\n\u0001', FaceUrl: 'https://a.b/c' }],
    },
  ]);
  expect(await letter(first)).toMatchObject({ state: 'resolved', resolvedBy: second });
  expect(await letter(second)).toMatchObject({
    state: 'resolved',
    resolvedBy: second,
    redrives: [{ at: expect.any(Number), by: 'op@host' }],
  });
  expect(await redis.hmget(keys.books, 'imported', 'superseded', 'dead')).toEqual(['1', '1', '0']);
});

it('keeps the history of a letter whose event dies again', async () => {
  const eventId = await deadLetter(70402, { userId: 'ann' });
  const before = await letter(eventId);
  await redrive(['ann']);
  await settleAll(60015);
  await redrive(['ann'], { by: 'other@host' });
  await settleAll(70402);
  const after = await letter(eventId);
  expect(after).toMatchObject({ state: 'dead', errorCode: 70402, firstDeadAt: before.deadSince });
  expect(after.deadSince).toBeGreaterThan(before.deadSince);
  expect(after.redrives.map(({ by }) => by)).toEqual(['op@host', 'other@host']);
  expect(after.attempts.map(({ errorCode }) => errorCode)).toEqual([70402, 60015, 70402]);
});

it('leaves a user who is in a call, and parks what comes behind its own', async () => {
  const old = await deadLetter(70402, { userId: 'ann', nick: 'Old' });
  await push({ userId: 'ann', nick: 'New' });
  await driver().cut();
  expect(words(await redrive(['ann']))).toEqual(['busy']);
  await settleAll(0);
  expect(await letter(old)).toMatchObject({ state: 'resolved' });
  expect(words(await redrive(['ann']))).toEqual(['none']);

  await deadLetter(70402, { userId: 'bob', nick: 'Old' });
  expect(words(await redrive(['bob']))).toEqual(['redriven']);
  await push({ userId: 'bob', nick: 'New' });
  await driver().cut();
  expect(await redis.hget(keys.parkedCounts, 'bob')).toBe('1');
  expect(words(await redrive(['bob']))).toEqual(['busy']);
  sent = [];
  await settleAll(0);
  await settleAll(0);
  expect(sent.map(({ accounts }) => accounts[0]?.Nick)).toEqual(['Old', 'New']);
});

it('keeps letters before their date unless forced, and does not move the date by trying', async () => {
  const eventId = await deadLetter(70399, { userId: 'ann' });
  const { notBefore, deadSince } = await letter(eventId);
  expect((notBefore ?? 0) - deadSince).toBeGreaterThan(89 * 86_400_000);
  expect(words(await redrive(['ann']))).toEqual(['early']);
  expect(words(await redrive(['ann'], { early: true }))).toEqual(['redriven']);
  await settleAll(70399);
  expect((await letter(eventId)).notBefore).toBe(notBefore);
  await redrive(['ann'], { early: true });
  await settleAll(70402);
  expect((await letter(eventId)).notBefore).toBeNull();
});

it('leaves invalid letters unless asked for, and those that hold less than what came in any case', async () => {
  const invalid = await deadLetter(0, { userId: 'ann', occurredAt: 'never' });
  await redis.xadd(keys.stream, '*', 'userId', 'bob', 'userId', 'bobby');
  await settleAll(0);
  expect(words(await redrive(['ann', 'bobby']))).toEqual(['invalid', 'invalid']);
  expect(words(await redrive(['ann', 'bobby'], { invalid: true }))).toEqual(['redriven', 'partial']);
  await settleAll(0);
  expect(await letter(invalid)).toMatchObject({ state: 'dead', reason: 'invalid' });
});

it('sends the profile of a profile letter again', async () => {
  const eventId = await deadLetter(40005, { userId: 'ann', nick: 'Ann' });
  expect(sent.map(({ accounts }) => accounts)).toEqual([
    [{ UserID: 'ann', Nick: 'Ann' }],
    [{ UserID: 'ann' }],
  ]);
  expect(await letter(eventId)).toMatchObject({ state: 'dead', reason: 'profile' });
  sent = [];
  await redrive(['ann']);
  await settleAll(0);
  expect(sent[0]?.accounts).toEqual([{ UserID: 'ann', Nick: 'Ann' }]);
  expect((await letter(eventId)).state).toBe('resolved');
});

it('gives robots to the single call', async () => {
  form = 'legacy';
  await deadLetter(70402, { userId: '@RBT#one', type: '1' });
  await deadLetter(70402, { userId: 'ann' });
  const { calls } = await redrive(['@RBT#one', 'ann']);
  expect(calls.map(({ command }) => command).sort()).toEqual(['account_import', 'multiaccount_import']);
  await settleAll(0);
});

it('opens so many calls at a time, and takes the rest when they are done', async () => {
  form = 'legacy';
  const robots = ['@RBT#1', '@RBT#2', '@RBT#3'];
  for (const userId of robots) await deadLetter(70402, { userId, type: '1' });
  await deadLetter(70402, { userId: 'ann' });
  expect(words(await redrive([...robots, 'ann'], { maxOpenCalls: 2 }))).toEqual([
    'redriven',
    'redriven',
    'full',
    'full',
  ]);
  expect(words(await redrive(['ann'], { maxOpenCalls: 2 }))).toEqual(['full']);
  await settleAll(0);
  expect(words(await redrive(['@RBT#3', 'ann'], { maxOpenCalls: 2 }))).toEqual(['redriven', 'redriven']);
  await settleAll(0);
});

it('a robot refused in the old form is invalid in the current one, beside others; the old form makes it again', async () => {
  form = 'legacy';
  const robot = await deadLetter(70402, { userId: '@RBT#one', type: '1' });
  const ann = await deadLetter(70402, { userId: 'ann' });
  expect(await letter(robot)).toMatchObject({ reason: 'rejected' });

  form = 'current';
  sent = [];
  expect(words(await redrive(['@RBT#one', 'ann']))).toEqual(['redriven', 'redriven']);
  await settleAll(0);
  expect(sent.flatMap(({ accounts }) => accounts)).toEqual([{ UserID: 'ann' }]);
  expect(await letter(ann)).toMatchObject({ state: 'resolved' });
  expect(await letter(robot)).toMatchObject({
    state: 'dead',
    reason: 'invalid',
    errorCode: 0,
    errorInfo: expect.stringMatching(/no Type.*IMSYNC_API=legacy.*own call for robots/),
  });
  // From here on it is left alone until it is asked for.
  expect(words(await redrive(['@RBT#one']))).toEqual(['invalid']);

  form = 'legacy';
  sent = [];
  expect(words(await redrive(['@RBT#one'], { invalid: true }))).toEqual(['redriven']);
  await settleAll(0);
  expect(sent).toEqual([{ command: 'account_import', accounts: [{ UserID: '@RBT#one', Type: 1 }] }]);
  expect(await letter(robot)).toMatchObject({ state: 'resolved' });
});

it('takes the newest letters of a user who has very many', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 150; i++) ids.push(await push({ userId: 'ann', nick: `n${i}` }));
  await settleAll(70402);
  expect((await redrive(['ann'])).users).toEqual([{ userId: 'ann', word: 'redriven', letters: 100 }]);
  sent = [];
  await settleAll(0);
  expect(sent[0]?.accounts).toEqual([{ UserID: 'ann', Nick: 'n149' }]);
  expect((await letter(ids[0] ?? '')).state).toBe('resolved');
}, 30_000);

it('a dry run answers the same and changes nothing', async () => {
  await deadLetter(70402, { userId: 'ann' });
  await deadLetter(70399, { userId: 'bob' });
  const before = await redis.hgetall(keys.books);
  expect(words(await redrive(['ann', 'bob'], { dryRun: true }))).toEqual(['redriven', 'early']);
  expect(await redis.hgetall(keys.books)).toEqual(before);
  expect(await redis.zcard(keys.open)).toBe(0);
});

it('a letter that is being redriven cannot be deleted', async () => {
  const eventId = await deadLetter(70402, { userId: 'ann' });
  await redrive(['ann']);
  expect(await deleteLetters({ redis, keys }, [await letter(eventId)])).toEqual(['redriving']);
  await settleAll(0);
});

it('says when calls do not go out', async () => {
  await redis.hset(keys.hold, 'paused', '1');
  expect((await redrive([])).stopped).toBe('paused');
  await redis.hdel(keys.hold, 'paused');
});
