import type { UserReport } from '../../src/tasks/find-user.ts';
import { audit, booksProblems } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { drained, type Stage, setStage } from '../support/stage.ts';
import { tracesOf } from '../support/traces.ts';

const imports = ['multiaccount_import', 'account_import'];
let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
  // What failed waits long enough to be looked at.
  const retries = { IMSYNC_RETRY_BASE_MS: '60000', IMSYNC_RETRY_MAX_MS: '60000' };
  await stage.worker({ IMSYNC_OUTCOMES: 'all', ...retries });
}, 120_000);
afterAll(async () => {
  await stage.end();
}, 120_000);

const user = (...args: string[]) => stage.verb(['user', ...args]);
async function show(userId: string): Promise<UserReport & { code: unknown }> {
  const { code, stdout, stderr } = await user('show', userId, '--json');
  if (stdout === '') throw new Error(stderr);
  return { code, ...(JSON.parse(stdout) as UserReport) };
}

test('show tells where a user is', async () => {
  await stage.push({ userId: 'ann', nick: 'Ann' });
  await drained(stage);
  expect(await show('ann')).toMatchObject({ code: 0, state: 'imported', hasAccount: true, unchecked: [] });
  expect((await user('show', 'ann')).stdout).toBe(
    [
      'user        "ann"',
      'state       imported; no event is on its way',
      'account     exists, according to the API',
      'next        nothing',
    ].join('\n'),
  );
  expect(await show('nobody')).toMatchObject({ code: 0, state: 'missing', hasAccount: false });
  const unasked = await user('show', 'nobody', '--no-api');
  expect(unasked.code).toBe(1);
  expect(unasked.stdout).toMatch(/^not checked the API was not asked .*: --no-api was given$/m);
  const keyless = await stage.verb(['user', 'show', 'ann'], { IMSYNC_SDK_SECRET_KEY: '' });
  expect(keyless.stdout).toMatch(/^not checked the API was not asked .*: No credentials are given/m);

  // Refused, and being retried.
  stage.simulator.setFaults({
    rules: [
      {
        match: { command: imports, userIds: ['bob'] },
        action: { accountCode: 70402, errorInfo: 'no such luck' },
      },
      { match: { userIds: ['cyd'] }, action: { errorCode: 70500 } },
    ],
  });
  const letter = await stage.push({ userId: 'bob' });
  await drained(stage);
  const bob = await user('show', 'bob');
  expect(bob.stdout).toMatch(/^state {7}dead-lettered: /m);
  expect(bob.stdout).toMatch(
    new RegExp(`^dead letter ${letter} {2}rejected 70402 since .* no such luck$`, 'm'),
  );
  expect(bob.stdout).toMatch(new RegExp(`^next {8}imsync dlq show ${letter}$`, 'm'));
  expect(bob.stdout).toContain('account     does not exist, according to the API');

  const event = await stage.push({ userId: 'cyd' });
  const cyd = await eventually('the call of cyd has failed', async () => {
    const report = await show('cyd');
    return (report.call?.tries ?? 0) > 0 ? report : undefined;
  });
  expect(cyd).toMatchObject({
    state: 'in-call',
    call: { eventIds: [event], attempts: [{ errorCode: 70500 }, ...(cyd.call?.attempts.slice(1) ?? [])] },
    api: null,
  });
  expect((await user('show', 'cyd')).stdout).toMatch(/^(attempt {5}number \d+,|last answer \d{4}-)/m);
  // A call that waits for its retry is not on the wire.
  expect((await user('forget', 'cyd', '--yes')).stdout).toMatch(/^ {2}1 event in a call$/m);
  stage.simulator.setFaults({});
  await drained(stage);
}, 120_000);

test('forget asks first, and reports what it would do', async () => {
  expect(await user('forget', 'bob')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Add --yes'),
  });
  expect((await user('forget', '', '--yes')).code).toBe(2);
  const dry = await user('forget', 'bob', '--dry-run');
  expect(dry.code).toBe(0);
  expect(dry.stdout).toContain(
    'would erase from Redis, of user "bob":\n  1 dead letter\n  1 outcome in the outcomes stream\n',
  );
  expect(dry.stdout).toContain('this command cannot reach:\n  the account itself: delete it at the API');
}, 120_000);

test('forget leaves no trace while a worker runs, and does not affect other users', async () => {
  await stage.verb(['pause']);
  await stage.push({ userId: 'bob' });
  await stage.push({ userId: 'eve' });
  const { code, stdout } = await user('forget', 'bob', '--yes', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    userId: 'bob',
    complete: true,
    left: [],
    erased: { stream: 1 },
  });
  await stage.verb(['resume']);
  await drained(stage);
  expect(await tracesOf(stage.client, 'bob')).toEqual([]);
  expect(stage.simulator.accounts.has('eve')).toBe(true);
  expect((await audit(stage.client, stage.keys)).problems).toEqual([]);
  expect(await booksProblems(stage.client, stage.keys)).toEqual([]);
  const status = JSON.parse((await stage.verb(['status', '--json'])).stdout);
  expect(status.totals.forgotten).toBe(2);
  expect((await user('forget', 'bob', '--yes')).stdout).toMatch(/^nothing of "bob" was found in Redis$/m);
}, 120_000);
