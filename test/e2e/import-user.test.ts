import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { UserCreatedProducer } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { type Stage, setStage } from '../support/stage.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let stage: Stage;
let producer: UserCreatedProducer;

beforeAll(async () => {
  stage = await setStage({
    sensitiveWords: ['curse'],
    scenario: { rules: [{ match: { userIds: ['eve'] }, action: { accountCode: 70402 } }] },
  });
  await stage.worker();
  producer = new UserCreatedProducer({
    sdkAppId: Number(stage.env.IMSYNC_SDK_APP_ID),
    redis: { url: stage.redis.url },
  });
}, 120_000);
afterAll(async () => {
  await producer.close();
  await stage.end();
}, 120_000);

test('a signup handler learns whether its user has an account', async () => {
  const wait = { timeoutMs: 30_000 };
  expect(await producer.importUser({ userId: 'ann', nick: 'Ann' }, wait)).toEqual({
    eventId: expect.stringMatching(/^\d+-\d+$/),
    userId: 'ann',
    outcome: 'imported',
    errorCode: 0,
    hasAccount: true,
  });
  // The account exists without the nick that the API refuses.
  expect(await producer.importUser({ userId: 'bob', nick: 'a curse' }, wait)).toMatchObject({
    outcome: 'dead-lettered',
    reason: 'profile',
    errorCode: 40005,
    hasAccount: true,
  });
  expect(await producer.importUser({ userId: 'eve' }, wait)).toMatchObject({
    outcome: 'dead-lettered',
    reason: 'rejected',
    errorCode: 70402,
    hasAccount: false,
  });
}, 120_000);

test('importMany answers for every user, and one of two events of a user is superseded', async () => {
  const users = [
    ...Array.from({ length: 300 }, (_, i) => ({ userId: `u${i}` })),
    { userId: 'not ok' },
    { userId: 'u0', nick: 'newer' },
  ];
  const importing = await producer.importMany(users, { timeoutMs: 30_000 });
  expect(importing.filter(({ ok }) => !ok)).toHaveLength(1);
  const outcomes = await Promise.all(importing.flatMap((one) => (one.ok ? [one.outcome] : [])));
  expect(outcomes.filter(({ hasAccount }) => hasAccount)).toHaveLength(301);
  expect(outcomes.at(-1)).toMatchObject({ userId: 'u0', outcome: 'imported' });
}, 120_000);

test('while calls are paused an import is pending at its time-out, and succeeds later', async () => {
  await stage.verb(['pause']);
  const outcome = await producer.importUser({ userId: 'cyd' }, { timeoutMs: 100 });
  expect(outcome).toMatchObject({ userId: 'cyd', outcome: 'pending', hasAccount: false });
  await stage.verb(['resume']);
  await eventually('cyd is imported', () => stage.simulator.accounts.has('cyd'));
}, 120_000);

test('the CommonJS build also waits for outcomes, and lets its process end', async () => {
  const script = `
    const { UserCreatedProducer } = require(${JSON.stringify(`${root}dist/cjs/index.js`)});
    const producer = new UserCreatedProducer(${JSON.stringify({
      sdkAppId: Number(stage.env.IMSYNC_SDK_APP_ID),
      redis: { url: stage.redis.url },
    })});
    producer.importUser({ userId: 'dan' }, { timeoutMs: 30000 }).then(async (outcome) => {
      console.log(JSON.stringify(outcome));
      await producer.close();
    });`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script]);
  expect(JSON.parse(stdout)).toMatchObject({ userId: 'dan', outcome: 'imported', hasAccount: true });
}, 120_000);
