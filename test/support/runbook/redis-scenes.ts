import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../eventually.ts';
import { TEST_APP } from '../simulator.ts';
import { drained, linesOf } from '../stage.ts';
import type { Scene, Scenery } from './scene.ts';

const wedge = fileURLToPath(new URL('../wedge.js', import.meta.url));

/** Redis has used this share of its memory from now on. A large key of somebody else makes it steady. */
async function fillRedis({ stage }: Scenery, share: number): Promise<void> {
  await stage.client.setrange('not-ours', 32 * 1024 * 1024, 'x');
  const used = Number(/used_memory:(\d+)/.exec(await stage.client.info('memory'))?.[1]);
  await stage.client.config('SET', 'maxmemory', String(Math.floor(used / share)));
}
const doctorSays = async (set: Scenery, words: RegExp): Promise<void> => {
  const { code, output } = await set.run('imsync doctor');
  expect({ code, says: output }).toEqual({ code: expect.any(Number), says: expect.stringMatching(words) });
  expect(code).not.toBe(0);
};
/** The worker is ready, or it says why not in words that the page lists. */
const readyz = async (set: Scenery, begins: string | null): Promise<void> => {
  const url = `http://${await set.ops()}/readyz`;
  await eventually(`/readyz: ${begins ?? 'ok'}`, async () => {
    const answer = await fetch(url);
    if (begins === null) return answer.status === 200;
    const { problems } = (await answer.json()) as { problems?: string[] };
    return problems?.some((problem) => problem.startsWith(begins)) === true;
  });
};

/** The start of the page, entries about Redis and the intake, and the worker's probes. */
export const redisScenes: Readonly<Record<string, Scene>> = {
  Runbook: {
    cause: async (set) => {
      await set.worker();
      set.means['HOST:9464'] = await set.ops();
      // What the unit's header puts where.
      mkdirSync(join(set.folder, 'etc'));
      mkdirSync(join(set.folder, 'opt/bin'), { recursive: true });
      writeFileSync(join(set.folder, 'etc/sdk-secret-key'), TEST_APP.secretKey);
      const { IMSYNC_SDK_APP_ID, IMSYNC_REDIS_URL } = set.env;
      writeFileSync(
        join(set.folder, 'etc/imsync.env'),
        `IMSYNC_SDK_APP_ID=${IMSYNC_SDK_APP_ID}\nIMSYNC_REDIS_URL=${IMSYNC_REDIS_URL}\n`,
      );
      symlinkSync(join(set.folder, 'imsync'), join(set.folder, 'opt/bin/imsync'));
      set.means['/etc/imsync'] = join(set.folder, 'etc');
      set.means['/opt/imsync'] = join(set.folder, 'opt');
    },
    commands: {
      'imsync status': { shows: [/^state +running$/m] },
      'imsync doctor': { shows: [/^All is well\.$/m] },
      'curl http://HOST:9464/status': {
        shows: [/"sdkAppId":1400000000,/],
        // The next command has its settings from the files alone.
        after: async (set) => {
          set.env = {};
        },
      },
      'set -a; . /etc/imsync/imsync.env; IMSYNC_SDK_SECRET_KEY_FILE=/etc/imsync/sdk-secret-key /opt/imsync/bin/imsync status':
        {
          shows: [/^app +1400000000$/m, /^state +running$/m, /^workers +1$/m],
        },
    },
  },
  ImsyncRedisAway: {
    cause: async (set) => {
      const { client, redis, push } = set.stage;
      // Each reason that the entry names, as far as it can be caused here.
      await client.config('SET', 'requirepass', 'other');
      await doctorSays(set, /password|NOAUTH|IMSYNC_REDIS_PASSWORD/i);
      await client.config('SET', 'requirepass', '');
      await client.call('REPLICAOF', '127.0.0.1', '1');
      await doctorSays(set, /✗ .*replica/);
      await client.call('REPLICAOF', 'NO', 'ONE');
      process.kill(redis.pid(), 'SIGSTOP');
      await doctorSays(set, /✗ Redis .*(?:no answer|did not answer|silent|time)/i);
      process.kill(redis.pid(), 'SIGCONT');
      // The worker starts after that: it tells of each change once.
      await set.worker();
      for (const userId of ['a', 'b']) await push({ userId });
      await drained(set.stage);
      await redis.kill();
      await set.logged('Redis is lost');
      await expect(set.run('imsync push --user-id c')).resolves.toMatchObject({ code: 3 });
    },
    commands: {
      'imsync doctor': {
        code: 3,
        shows: [/✗ Redis cannot be used at \S+: connect ECONNREFUSED/],
        after: async (set) => {
          const before = linesOf(set.current(), 'Redis is back').length;
          await set.stage.redis.restart();
          await eventually('Redis is back', () => linesOf(set.current(), 'Redis is back').length > before);
          await set.stage.client.flushall();
          await set.logged('Redis has lost what it held');
          writeFileSync(join(set.folder, 'users.csv'), 'userId,nick\na,A\nb,B\nmissing,M\n');
        },
      },
      // 1: some are missing.
      'imsync verify users.csv --missing-file missing.csv': {
        code: 1,
        shows: [/missing/],
        after: async (set) => {
          const file = readFileSync(join(set.folder, 'missing.csv'), 'utf8');
          expect(file).toContain('missing');
          expect(file.trim().split('\n')).toHaveLength(2);
        },
      },
      'imsync import missing.csv': { shows: [/1/], after: (set) => drained(set.stage) },
    },
    async mend(set) {
      expect(set.stage.simulator.accounts.has('missing')).toBe(true);
      expect(await set.run('imsync verify users.csv')).toMatchObject({ code: 0 });
    },
  },
  ImsyncRedisMemory: {
    cause: async (set) => {
      await set.worker();
      await set.stage.push({ userId: 'fresh letter', occurredAt: 'never' });
      await drained(set.stage);
      await fillRedis(set, 0.89);
      await set.logged('Redis is ');
    },
    commands: {
      'imsync status': {
        shows: [/^memory +Redis is (?:8[5-9]|9\d) % full/m, /^dead letters 1,.* 1 invalid$/m],
      },
      'redis-cli --bigkeys': { shows: [/Biggest +string found .*not-ours/, /-------- summary -------/] },
      'redis-cli CONFIG SET maxmemory 4gb': { shows: [/^OK$/m] },
      'imsync dlq export --output letters.ndjson': {
        shows: [/^1 letters exported$/m],
        after: async (set) => {
          const [line = ''] = readFileSync(join(set.folder, 'letters.ndjson'), 'utf8').split('\n');
          expect(JSON.parse(line)).toMatchObject({ reason: 'invalid' });
        },
      },
      // That of today is kept.
      'imsync dlq delete --reason invalid --older-than 30d': { shows: [/^0 letters deleted$/m] },
    },
    async mend(set) {
      await eventually('there is room', () =>
        linesOf(set.current(), 'Redis is ').some(({ msg }) =>
          String(msg).includes('there is room for all again'),
        ),
      );
      expect((await set.run('imsync status')).output).not.toMatch(/^memory/m);
    },
  },
  ImsyncIntakeRefuses: {
    cause: async (set) => {
      const token = 'a-token-of-the-runbook';
      const worker = await set.worker({ IMSYNC_INTAKE_PORT: '0', IMSYNC_INTAKE_TOKENS: token });
      const { url } = await worker.line(
        'HTTP intake listens: POST /v1/users, GET /v1/users/{id}, /openapi.json',
      );
      set.means.intake = String(url);
      await fillRedis(set, 0.97);
      await eventually('users are turned away', async () => (await postUser(set)) === 503);
      await set.logged('HTTP intake answers 503');
    },
    commands: { 'imsync doctor': { code: 1, shows: [/✗ Redis uses \S+ MiB of its limit of \S+ MiB/] } },
    async mend(set) {
      await set.run('redis-cli CONFIG SET maxmemory 4gb');
      await eventually(
        'a request after five quiet seconds is taken, and it is said',
        async () =>
          (await postUser(set)) < 300 && linesOf(set.current(), 'HTTP intake accepts users again').length > 0,
        60_000,
        500,
      );
    },
  },
  '/livez is red': {
    cause: async (set) => {
      await set.worker({ NODE_OPTIONS: `--import=${wedge}`, WEDGE: 'sweeper' });
      const host = await set.ops();
      set.means['HOST:9464'] = host;
      await eventually(
        'it is red',
        async () => (await fetch(`http://${host}/livez`)).status === 503,
        100_000,
      );
    },
    commands: {
      'curl -m 5 http://HOST:9464/livez': {
        shows: [/\{"status":"stuck","stuck":\[\{"loop":"sweeper","since":"\d{4}-/],
      },
    },
    async mend(set) {
      const stuck = set.current();
      stuck.signal('SIGTERM');
      await eventually('it ends, or is killed', () => stuck.child.exitCode !== null, 20_000).catch(
        () => undefined,
      );
      stuck.signal('SIGKILL');
      await stuck.ended;
      await set.stage.push({ userId: 'afterwards' });
      await set.worker();
      await drained(set.stage);
      expect((await fetch(`http://${await set.ops()}/livez`)).status).toBe(200);
    },
  },
  '/readyz is red': {
    cause: async (set) => {
      const { client, redis } = set.stage;
      await set.worker();
      set.means['HOST:9464'] = await set.ops();
      await readyz(set, null);
      await redis.kill();
      await readyz(set, 'Redis cannot be reached at present.');
      await redis.restart();
      await readyz(set, null);
      process.kill(redis.pid(), 'SIGSTOP');
      await readyz(set, 'Redis did not answer within 1500 ms.');
      process.kill(redis.pid(), 'SIGCONT');
      await readyz(set, null);
      await client.call('REPLICAOF', '127.0.0.1', '1');
      // Its connections may have found out before its INFO did.
      await eventually('a replica', async () => {
        const { problems = [] } = (await (await fetch(`http://${await set.ops()}/readyz`)).json()) as {
          problems?: string[];
        };
        return problems.some(
          (one) => one.startsWith('Redis is a replica') || one.startsWith('Redis refuses:'),
        );
      });
      await client.call('REPLICAOF', 'NO', 'ONE');
      await readyz(set, null);
      await fillRedis(set, 2);
      await readyz(set, 'Redis has no memory left and refuses events.');
      await client.config('SET', 'maxmemory', '0');
      await client.config('SET', 'appendonly', 'no');
      await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
      await readyz(set, 'Redis may evict events:');
    },
    commands: {
      'curl -m 5 http://HOST:9464/readyz': {
        shows: [
          /\{"status":"unready","problems":\["Redis may evict events: .*"Redis would lose events at a restart: /,
        ],
      },
      'imsync doctor': { code: 1, shows: [/✗ Redis may evict/, /✗ .*restart.*append-only/] },
      'redis-cli CONFIG SET maxmemory-policy noeviction': { shows: [/^OK$/m] },
      'redis-cli CONFIG SET appendonly yes': { shows: [/^OK$/m] },
    },
    async mend(set) {
      await readyz(set, null);
      // Until its first file is written, this Redis does not end on SIGTERM.
      await eventually('the append-only file is written', async () =>
        /aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0/.test(
          await set.stage.client.info('persistence'),
        ),
      );
    },
  },
};

async function postUser({ means }: Scenery): Promise<number> {
  const { status } = await fetch(`${means.intake}/v1/users`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer a-token-of-the-runbook' },
    body: JSON.stringify({ userId: 'turned-away' }),
  });
  return status;
}
