import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseEntry } from '../../src/event/fields.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const stream = '{imsync:1400000000}:user-created';

let server: TestRedis;
let redis: RedisClient;
let env: Record<string, string>;

beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
  env = {
    PATH: process.env.PATH ?? '',
    HOME: process.env.HOME ?? '',
    IMSYNC_SDK_APP_ID: '1400000000',
    IMSYNC_REDIS_URL: server.url,
  };
}, 120_000);

afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

/** The stream entry with this ID, as a worker reads it. */
async function eventOf(eventId: string): Promise<unknown> {
  const [entry] = await redis.xrange(stream, eventId, eventId);
  const fields = entry?.[1] ?? [];
  return parseEntry({ eventId, fields }, { adminId: 'administrator' });
}

describe('the Python producer', () => {
  const produce = (more: Readonly<Record<string, string>>, ...args: string[]) =>
    run('python3', ['examples/producer.py', ...args], { cwd: root, env: { ...env, ...more } });

  test('adds an event that a worker can read', async () => {
    const { stdout } = await produce({}, 'alice', '爱丽丝', 'https://example.com/a.png');
    const event = { userId: 'alice', nick: '爱丽丝', faceUrl: 'https://example.com/a.png' };
    expect(await eventOf(stdout.trim())).toMatchObject({ ok: true, event });
  }, 120_000);

  test('refuses a user ID that is too long and adds nothing', async () => {
    const before = await redis.xlen(stream);
    const refused = produce({}, '2f0b6a3e-6f0c-4f0e-9d59-3a4a5c6d7e8f');
    await expect(refused).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('32 bytes') });
    expect(await redis.xlen(stream)).toBe(before);
  }, 120_000);

  test('logs in and names the error of Redis', async () => {
    await redis.config('SET', 'requirepass', 'open sesame');
    try {
      const url = server.url.replace('//', '//:open%20sesame@');
      const { stdout } = await produce({ IMSYNC_REDIS_URL: url }, 'bob');
      expect(await eventOf(stdout.trim())).toMatchObject({ ok: true, event: { userId: 'bob' } });
      const refused = produce({}, 'bob');
      await expect(refused).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('NOAUTH') });
    } finally {
      await redis.config('SET', 'requirepass', '');
    }
  }, 120_000);
});

describe('the signup handler', () => {
  let app: ChildProcess;
  let address: string;

  beforeAll(async () => {
    app = spawn(process.execPath, ['examples/fastify-signup.js'], { cwd: root, env: { ...env, PORT: '0' } });
    let output = '';
    app.stdout?.on('data', (chunk) => (output += chunk));
    app.stderr?.on('data', (chunk) => (output += chunk));
    address = await eventually('the example listens', () => {
      if (app.exitCode !== null) throw new Error(output);
      return /listening at (http:\/\/127\.0\.0\.1:\d+)/.exec(output)?.[1];
    });
  }, 120_000);

  afterAll(async () => {
    const ended = new Promise((resolve) => app.once('exit', resolve));
    app.kill('SIGTERM');
    expect(await ended).toBe(0);
  }, 120_000);

  const signUp = async (name: string) => {
    const reply = await fetch(`${address}/signup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name }),
    });
    return { status: reply.status, user: (await reply.json()) as { userId: string; imPending: boolean } };
  };
  const announced = async (userId: string): Promise<boolean> =>
    (await redis.xrange(stream, '-', '+')).some(([, fields]) => fields.includes(userId));

  test('announces a new user', async () => {
    const { status, user } = await signUp('Alice');
    expect({ status, imPending: user.imPending }).toEqual({ status: 201, imPending: false });
    expect(await announced(user.userId)).toBe(true);
  }, 120_000);

  test('answers while Redis is away, and announces the user once it is back', async () => {
    await server.kill();
    const { status, user } = await signUp('Bob');
    expect({ status, imPending: user.imPending }).toEqual({ status: 201, imPending: true });
    await server.restart();
    await eventually('Bob is announced', () => announced(user.userId));
  }, 120_000);
});
