import { refusals, setDocumentedUsers } from '../support/documented-users.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { drained, logOf, type Stage, setStageOn } from '../support/stage.ts';

/**
 * A Redis as a service gives it: its user may ask for nothing about the server. CONFIG, SCRIPT, MONITOR, DEBUG, KEYS and
 * FLUSHALL are not among the documented rights anyway; here INFO, every CLIENT, SCAN and XINFO are refused, too.
 */
const PASSWORD = 'p-7d20c4';
const TAKEN = ['-info', '-client', '-scan', '-xinfo'];
const VOLATILE = { IMSYNC_REDIS_ALLOW_VOLATILE: 'true' };

let server: TestRedis;
let stage: Omit<Stage, 'redis'>;

beforeAll(async () => {
  server = await startRedis();
  const { settings } = server;
  const address = (user: string): string => `redis://${user}:${PASSWORD}@127.0.0.1:${server.port}`;
  stage = await setStageOn(
    { settings, env: { IMSYNC_REDIS_URL: address('imsync') }, stop: () => server.stop() },
    {
      scenario: {
        rules: [
          { match: { times: 2 }, action: { errorCode: 70500 } },
          { match: { userIdPattern: '^bad' }, action: { accountCode: 70402 } },
        ],
      },
    },
  );
  await setDocumentedUsers(stage.client, PASSWORD, ...TAKEN);
}, 60_000);
afterAll(() => stage.end(), 60_000);

test('a worker starts there when somebody takes it on him that events are kept, and says what it cannot see', async () => {
  const refused = await stage.verb(['worker']);
  expect(refused.code).toBe(2);
  expect(refused.stderr.trim().split('\n')).toEqual([
    expect.stringMatching(/may evict events: INFO shows no maxmemory_policy\. .*ALLOW_VOLATILE=true\.$/),
    expect.stringMatching(/keeps events at a restart: INFO shows no aof_enabled\. .*ALLOW_VOLATILE=true\.$/),
  ]);
}, 60_000);

test('worker, intake, producer and verbs do their work there, and complain of nothing', async () => {
  const TOKEN = 't-51c0e2b9a7d34f68';
  const worker = await stage.worker({
    ...VOLATILE,
    IMSYNC_INTAKE_PORT: '0',
    IMSYNC_INTAKE_TOKENS: TOKEN,
  });
  for (let i = 0; i < 40; i++) await stage.push({ userId: `u${i}` });
  await stage.push({ userId: 'bad' });
  const said = async (args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await stage.verb(args, VOLATILE);
    expect([args[0], code, stderr]).toEqual([args[0], 0, '']);
    return stdout;
  };
  await said(['push', '--user-id', 'pushed']);
  const urlOf = (msg: RegExp): string =>
    String(logOf(worker).find((line) => msg.test(String(line.msg)))?.url);
  const taken = await fetch(`${urlOf(/^HTTP intake listens/)}/v1/users`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ userId: 'over-http' }),
  });
  expect(taken.status).toBe(202);
  await drained(stage);
  expect(stage.simulator.accounts.size).toBe(42);
  expect((await fetch(`${urlOf(/^ops server listens/)}/readyz`)).status).toBe(200);

  const doctor = await said(['doctor']);
  for (const words of [
    /✓ Redis \d+\.\d+\.\d+ is new enough/,
    /✓ Redis is a primary/,
    /– Redis does not say whether it may evict events.* allows this/,
    /– Redis does not say whether it keeps events at a restart.* allows this/,
    /– The free memory is unknown/,
    /– The stream \S+ was not checked: the Redis user needs \+xinfo\|stream/,
    /– Streams of similar names were not checked: the Redis user needs \+scan/,
  ])
    expect(doctor).toMatch(words);
  expect(await said(['status'])).toMatch(/^imported +42$/m);
  expect(await said(['user', 'show', 'u1'])).toContain('imported');
  expect(await said(['dlq', 'list'])).toContain('rejected');
  await said(['dlq', 'redrive', '--all']);
  await said(['pause']);
  await said(['resume']);

  // Connections are made again, and ioredis asks once more what it may not ask.
  await stage.client.call('CLIENT', 'KILL', 'TYPE', 'NORMAL');
  await eventually('Redis is back', () => worker.lines.some((line) => line.includes('Redis is back')));
  await stage.push({ userId: 'later' });
  await eventually('it is imported', () => stage.simulator.accounts.has('later'));
  const errors = logOf(worker).filter(({ level }) => level === 'error' || level === 'fatal');
  expect(errors.map(({ msg }) => msg)).toEqual(['Redis is lost; waiting for it']);
  expect(worker.stderr()).toBe('');
  const asked = new Set((await refusals(stage.client)).map((line) => line.split(/[ |]/)[1]));
  expect([...asked].sort()).toEqual(['client', 'info', 'scan', 'xinfo']);
}, 120_000);
