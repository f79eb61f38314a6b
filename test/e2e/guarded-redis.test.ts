import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeRedis, openRedis } from '../../src/redis/connect.ts';
import { forgetUser } from '../../src/tasks/forget-user.ts';
import { audit } from '../support/audit.ts';
import { apiAnswer, createCallDriver } from '../support/call-driver.ts';
import { ACT_TOKEN, askConsole, CONSOLE_ENV, consoleUrl, signIn } from '../support/console-api.ts';
import { documentedRights, refusals, setDocumentedUsers, watchRights } from '../support/documented-users.ts';
import { eventually } from '../support/eventually.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis-server.ts';
import { drained, type Stage, setStageOn } from '../support/stage.ts';
import { says, startWebhook } from '../support/webhook.ts';
import { TEST_CERT, TEST_KEY } from '../unit/im/tls-cert.ts';

/** Redis over TLS, in a database other than 0, with the users of docs/security.md and no other rights. */

const PASSWORD = 'p-6f1d0c';
let folder: string;
let server: TestRedis;
let stage: Omit<Stage, 'redis'>;
let tlsPort: number;
const address = (user: string): string => `rediss://${user}@127.0.0.1:${tlsPort}/3`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-tls-'));
  const cert = join(folder, 'cert.pem');
  await writeFile(cert, TEST_CERT);
  await writeFile(join(folder, 'key.pem'), TEST_KEY);
  tlsPort = await freePort();
  server = await startRedis([
    ...['--tls-port', String(tlsPort), '--tls-auth-clients', 'no'],
    ...['--tls-cert-file', cert, '--tls-key-file', join(folder, 'key.pem'), '--tls-ca-cert-file', cert],
  ]);
  stage = await setStageOn(
    {
      settings: { ...server.settings, url: `${server.url}/3` },
      env: {
        IMSYNC_REDIS_URL: address('imsync'),
        IMSYNC_REDIS_PASSWORD: PASSWORD,
        IMSYNC_REDIS_CA_FILE: cert,
      },
      stop: () => server.stop(),
    },
    {
      scenario: {
        rules: [
          { match: { rate: 0.1 }, action: { errorCode: 70500 } },
          { match: { userIdPattern: '^bad' }, action: { accountCode: 70402 } },
        ],
      },
    },
  );
  expect(await setDocumentedUsers(stage.client, PASSWORD)).toEqual(['imsync', 'backend']);
}, 120_000);
afterAll(async () => {
  await stage.end();
  await rm(folder, { recursive: true, force: true });
}, 120_000);

/** What the page of the console asks, and each of its acts. */
async function askEverything(base: string): Promise<void> {
  const ask = async (path: string, body?: object): Promise<void> => {
    const { status, text } = await askConsole(base, path, {
      token: ACT_TOKEN,
      ...(body !== undefined && { body }),
    });
    expect([path, status < 300 ? '' : text]).toEqual([path, '']);
  };
  for (const span of ['15m', '3h', '24h']) await ask(`/api/history?span=${span}`);
  for (const query of ['', '?state=all', '?reason=rejected', '?code=70402', '?user=bad1'])
    await ask(`/api/dead-letters${query}`);
  for (const path of ['status', 'workers', 'calls', 'dead-letters/groups', 'dead-letters/export'])
    await ask(`/api/${path}`);
  for (const path of ['redrives', 'users/bad1', 'activity', 'settings']) await ask(`/api/${path}`);
  await ask('/api/users/zoe/import', {});
  await ask('/api/users/bad4/forget', {});
  await ask('/api/dead-letters/redrive', { all: true, dryRun: true });
  await ask('/api/dead-letters/redrive', { filter: { user: 'bad5' } });
  await ask('/api/dead-letters/delete', { filter: { user: 'bad6' } });
  await ask('/api/pause', { reason: 'a look' });
  await ask('/api/resume', {});
  const cookie = await signIn(base, ACT_TOKEN);
  expect((await askConsole(base, '/api/session', { cookie, method: 'DELETE' })).status).toBe(204);
  await drained(stage);
}

const denied = (): Promise<string[]> => refusals(stage.client);

test('worker and verbs need no right that is not documented, and each that is', async () => {
  const rights = await watchRights(stage.client);
  const hook = await startWebhook(says('ok'));
  // What Redis's clock, set back, left for an hour: the first sweep of a process looks at it.
  const looked = `${stage.keys.bullPrefix}:calls-multiaccount_import:stalled-check`;
  await stage.client.set(looked, '1', 'PX', 3_600_000);
  const worker = await stage.worker({
    IMSYNC_BATCH_MAX_SIZE: '5',
    IMSYNC_NOTIFY_URLS: `slack+${hook.url}`,
    ...CONSOLE_ENV,
  });
  await eventually('a sweep has seen it', async () => (await stage.client.pttl(looked)) < 60_000);
  for (let i = 0; i < 120; i++) await stage.push({ userId: `u${i % 60}`, replyTo: 'replies:all' });
  for (let i = 0; i < 7; i++) await stage.push({ userId: `bad${i}` });
  await drained(stage);
  const fine = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await stage.verb(args);
    expect([args.join(' '), code, code === 0 ? '' : stderr]).toEqual([args.join(' '), 0, '']);
    return stdout;
  };
  await askEverything(await consoleUrl(worker));
  await fine('pause');
  await stage.push({ userId: 'waits' });
  await fine('user', 'forget', 'waits', '--yes');
  await fine('resume');
  expect(await fine('activity')).toMatch(/resume[\s\S]*forget[\s\S]*pause/);
  await fine('push', '--user-id', 'by-verb');
  expect(JSON.parse(await fine('status', '--json'))).toMatchObject({ workers: [{}] });
  expect(await fine('top', '--once')).toContain('1 worker sends');
  await fine('tail', '--for', '1s');
  expect(await fine('dlq', 'list', '--json')).toContain('bad0');
  await fine('dlq');
  await fine('dlq', 'export');
  await fine('dlq', 'delete', '--user', 'bad1', '--yes');
  await fine('user', 'show', 'bad0');
  await fine('user', 'forget', 'bad2', '--yes');
  const rows = join(folder, 'rows.csv');
  await writeFile(rows, 'userId,nick\nfrom-file,F\n');
  await fine('import', rows, '--update', '--wait');
  stage.simulator.setFaults({});
  // What is imported resolves an older letter.
  await stage.push({ userId: 'bad3' });
  await drained(stage);
  await fine('dlq', 'redrive', '--all');
  await eventually('the redriven one', () => stage.simulator.accounts.has('bad0'));
  await drained(stage);
  await fine('verify', rows);
  expect(await fine('user', 'show', 'from-file')).toContain('from-file');
  await fine('user', 'forget', 'from-file', '--yes');
  expect((await stage.verb(['doctor'])).stdout).toContain('Redis answers at rediss://imsync@127.0.0.1');
  // A hold and its end, and a worker that dies: stalled jobs are looked for.
  stage.simulator.setFaults({ rules: [{ match: {}, action: { errorCode: 70003 } }] });
  await stage.push({ userId: 'held' });
  // A sweep looks at a call that has not moved for long.
  const [callId = ''] = await eventually('a call is open', async () => {
    const open = await stage.client.zrange(stage.keys.open, '0', '0');
    return open.length > 0 && open;
  });
  await eventually('the call is seen', async () => {
    // Whoever takes it up again moves it.
    await stage.client.zadd(stage.keys.open, 'XX', 1_000, callId);
    return rights.used.has('zscore');
  });
  await eventually('stalled jobs are looked for', () => rights.used.has('sadd'));
  stage.simulator.setFaults({});
  await eventually('the hold is over', () => stage.simulator.accounts.has('held'), 60_000);
  await drained(stage);
  await eventually('notices are sent', () => hook.received.length > 0);
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(0);
  await hook.close();
  await forgetAtTheFront();
  expect(await denied()).toEqual([]);
  expect((await audit(stage.client, stage.keys)).problems).toEqual([]);
  rights.end();
  expect((await documentedRights('imsync')).filter((right) => !rights.used.has(right))).toEqual([]);
}, 240_000);

/** A user is forgotten whose event is at the front of the intake, since the call before it has just ended. */
async function forgetAtTheFront(): Promise<void> {
  const url = address('imsync');
  const ca = TEST_CERT;
  const redis = openRedis({ ...server.settings, url, password: PASSWORD, ca }, 'loop', 'x', () => undefined);
  const { keys } = stage;
  try {
    const { cut, run } = createCallDriver(redis, keys, async () => {
      await stage.push({ userId: 'front' });
      await cut();
      return apiAnswer(0);
    });
    await stage.push({ userId: 'front' });
    for (const { callId } of await cut()) await run(callId);
    const sleep = async (): Promise<void> => undefined;
    const { erased } = await forgetUser({ redis, keys, userId: 'front', dryRun: false, maxWaitMs: 0, sleep });
    expect(erased.returned).toBe(1);
  } finally {
    await closeRedis(redis);
  }
}

test('a producer can push, and nothing else', async () => {
  const env = { IMSYNC_REDIS_URL: address('backend') };
  expect(await stage.verb(['push', '--user-id', 'from-backend'], env)).toMatchObject({ code: 0, stderr: '' });
  expect(await denied()).toEqual([]);
  for (const args of [['status'], ['pause'], ['worker']]) {
    const { code, stderr } = await stage.verb(args, env);
    expect([args[0], code, stderr]).toEqual([
      args[0],
      3,
      expect.stringMatching(/NOPERM.*Give the Redis user the rights that docs\/security\.md lists\.\n$/),
    ]);
    expect(stderr).not.toContain(PASSWORD);
  }
}, 120_000);

test.each([
  [
    'a wrong password',
    () => ({ IMSYNC_REDIS_PASSWORD: 'wrong' }),
    /WRONGPASS.*does not take this login: check IMSYNC_REDIS_PASSWORD/,
  ],
  [
    'an unknown authority',
    () => ({ IMSYNC_REDIS_CA_FILE: '' }),
    /set IMSYNC_REDIS_CA_FILE to its certificate/,
  ],
  [
    'a port without TLS',
    () => ({ IMSYNC_REDIS_URL: `rediss://imsync@127.0.0.1:${server.port}` }),
    /There is no TLS at this port: use redis:\/\/|a port without TLS wants redis:\/\//,
  ],
] as [string, () => Record<string, string>, RegExp][])(
  '%s is said with what to do about it',
  async (_what, wrong, sentence) => {
    for (const args of [['status']]) {
      const { code, stdout, stderr } = await stage.verb(args, wrong());
      expect([args[0], code]).toEqual([args[0], 3]);
      expect((stdout + stderr).replace(/\s+/g, ' ')).toMatch(sentence);
      expect(stdout + stderr).not.toContain(PASSWORD);
    }
  },
  60_000,
);
