import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { audit } from '../support/audit.ts';
import { refusals, setDocumentedUsers } from '../support/documented-users.ts';
import { eventually } from '../support/eventually.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis-server.ts';
import { drained, type Stage, setStageOn } from '../support/stage.ts';
import { TEST_CERT, TEST_KEY } from '../unit/im/tls-cert.ts';

/** Redis over TLS, with the users of docs/security.md and no other rights. */

const PASSWORD = 'p-6f1d0c';
let folder: string;
let server: TestRedis;
let stage: Omit<Stage, 'redis'>;
let tlsPort: number;
const address = (user: string): string => `rediss://${user}@127.0.0.1:${tlsPort}`;

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
      settings: server.settings,
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
}, 60_000);
afterAll(async () => {
  await stage.end();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

const denied = (): Promise<string[]> => refusals(stage.client);

test('worker and verbs need no right that is not documented', async () => {
  const worker = await stage.worker({ IMSYNC_BATCH_MAX_SIZE: '5' });
  for (let i = 0; i < 120; i++) await stage.push({ userId: `u${i % 60}`, replyTo: 'replies:all' });
  for (let i = 0; i < 3; i++) await stage.push({ userId: `bad${i}` });
  await drained(stage);
  const fine = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await stage.verb(args);
    expect([args.join(' '), code, code === 0 ? '' : stderr]).toEqual([args.join(' '), 0, '']);
    return stdout;
  };
  await fine('pause');
  await fine('resume');
  await fine('push', '--user-id', 'by-verb');
  expect(JSON.parse(await fine('status', '--json'))).toMatchObject({ workers: [{}] });
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
  await fine('dlq', 'redrive', '--all');
  await eventually('the redriven one', () => stage.simulator.accounts.has('bad0'));
  await drained(stage);
  await fine('verify', rows);
  expect(await fine('user', 'show', 'from-file')).toContain('from-file');
  await fine('user', 'forget', 'from-file', '--yes');
  expect((await stage.verb(['doctor'])).stdout).toContain('Redis answers at rediss://imsync@127.0.0.1');
  // A hold and its end, and a worker that dies: stalled jobs are looked for.
  stage.simulator.setFaults({ rules: [{ match: { untilMs: 1_500 }, action: { errorCode: 70003 } }] });
  await stage.push({ userId: 'held' });
  await eventually('the hold is over', () => stage.simulator.accounts.has('held'), 60_000);
  await drained(stage);
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(0);
  expect(await denied()).toEqual([]);
  expect((await audit(stage.client, stage.keys)).problems).toEqual([]);
}, 120_000);

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
}, 60_000);

test.each([
  ['a wrong password', () => ({ IMSYNC_REDIS_PASSWORD: 'wrong' }), /WRONGPASS.*Check IMSYNC_REDIS_PASSWORD/],
  ['an unknown authority', () => ({ IMSYNC_REDIS_CA_FILE: '' }), /set IMSYNC_REDIS_CA_FILE to the authority/],
  [
    'a port without TLS',
    () => ({ IMSYNC_REDIS_URL: `rediss://imsync@127.0.0.1:${server.port}` }),
    /a port with TLS wants rediss:\/\/, one without it redis:\/\//,
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
