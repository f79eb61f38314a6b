import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Scenario } from '../../simulator/scenario/scenario.ts';
import type { Simulator } from '../../simulator/simulator.ts';
import { redriveUsers } from '../../src/ledger/letters/redrive.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { audit, booksProblems } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { letterProblems } from '../support/letter-audit.ts';
import { makeInvalidLetters } from '../support/letters.ts';
import { type ImsyncProcess, imsync, imsyncRun } from '../support/process.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis-server.ts';
import { simulatorForTest, TEST_APP } from '../support/simulator.ts';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const keys = keysOf(TEST_APP.sdkAppId);
let server: TestRedis;
let redis: RedisClient;
let simulator: Simulator;
let env: Record<string, string>;
let worker: ImsyncProcess | undefined;

beforeAll(async () => {
  server = await startRedis();
  simulator = await simulatorForTest();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
  env = {
    IMSYNC_REDIS_URL: server.url,
    IMSYNC_BASE_URL: simulator.url,
    IMSYNC_SDK_APP_ID: String(TEST_APP.sdkAppId),
    IMSYNC_SDK_SECRET_KEY: TEST_APP.secretKey,
    IMSYNC_OPS_PORT: '0',
    IMSYNC_RETRY_BASE_MS: '20',
    IMSYNC_RETRY_MAX_MS: '100',
  };
});
beforeEach(async () => {
  await redis.flushall();
  simulator.setFaults({});
  simulator.reset();
});
afterEach(async () => {
  worker?.signal('SIGTERM');
  await worker?.ended;
  worker = undefined;
});
afterAll(async () => {
  await closeRedis(redis);
  await simulator.close();
  await server.stop();
});

async function startWorker(): Promise<void> {
  worker = imsync(['worker'], env);
  await worker.line('worker started');
}

const dlq = (...args: string[]) => imsyncRun(['dlq', ...args], env);

async function push(fields: Readonly<Record<string, string>>): Promise<string> {
  return String(await redis.xadd(keys.stream, '*', ...Object.entries(fields).flat()));
}

/** The API refuses these users. */
const refusing = (...userIds: string[]): Scenario => ({
  rules: [{ match: { userIds }, action: { accountCode: 70402, errorInfo: 'no such luck' } }],
});

const lettersToBe = (count: number) =>
  eventually(`${count} dead letters`, async () => (await redis.zcard(keys.deadByTime)) === count);

const resolvedToBe = (count: number) =>
  eventually(`${count} resolved letters`, async () => (await redis.zcard(keys.deadResolved)) === count);

/** Makes one rejected, one profile and one invalid letter. */
async function trouble(): Promise<{ ann: string; bob: string; cyd: string }> {
  simulator.setFaults({ ...refusing('ann'), sensitiveWords: ['curse'] });
  const ann = await push({ userId: 'ann', nick: 'Ann' });
  const bob = await push({ userId: 'bob', nick: 'a curse' });
  const cyd = await push({ userId: 'cyd', occurredAt: 'never', password: 'not-to-be-seen' });
  await startWorker();
  await lettersToBe(3);
  return { ann, bob, cyd };
}

describe('reading letters', () => {
  it('summary, list, show and export agree, and hold no password', async () => {
    const { ann, bob, cyd } = await trouble();

    const summary = await dlq();
    expect(summary.code).toBe(0);
    expect(summary.stdout).toMatch(/^3 dead letters/);
    expect(summary.stdout).toMatch(/1 {2}rejected 70402: .*redrive/);
    expect(summary.stdout).toContain(`${ann}  user "ann"`);
    expect(summary.stdout).toContain('no such luck');
    expect((await dlq('summary', '--json')).stdout).toBe((await dlq('--json')).stdout);
    expect(JSON.parse((await dlq('--json')).stdout)).toMatchObject({ total: 3, redriving: 0, resolved: 0 });

    const list = await dlq('list', '--json');
    const letters = list.stdout.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    const byId = new Map(letters.map((letter) => [letter.eventId, letter]));
    expect(byId.get(ann)).toMatchObject({
      userId: 'ann',
      reason: 'rejected',
      errorCode: 70402,
      errorInfo: expect.stringContaining('no such luck'),
      event: { userId: 'ann', nick: 'Ann' },
      state: 'dead',
      notBefore: null,
      httpStatus: 200,
    });
    expect(byId.get(ann)?.attempts).not.toEqual([]);
    expect(byId.get(bob)).toMatchObject({ reason: 'profile', errorCode: 40005 });
    expect(byId.get(cyd)).toMatchObject({ reason: 'invalid', errorCode: 0, attempts: [] });

    const human = await dlq('list', '--user', 'ann');
    expect(human.stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z {2}\d+-\d+ {2}"ann" {2}rejected 70402 {2}/);
    expect((await dlq('list', '--user', 'nobody')).stdout).toBe('no letters match');
    expect((await dlq('list', '--older-than', '2h')).stdout).toBe('no letters match');
    expect(
      (await dlq('list', '--newer-than', '2h', '--limit', '2', '--json')).stdout.split('\n'),
    ).toHaveLength(2);

    const shown = await dlq('show', ann);
    expect(shown.stdout).toMatch(/^event +\d+-0$/m);
    expect(shown.stdout).toMatch(/^next .*imsync dlq redrive/m);
    expect(JSON.parse((await dlq('show', ann, '--json')).stdout)).toEqual(byId.get(ann));

    const folder = await mkdtemp(join(tmpdir(), 'imsync-export-'));
    try {
      const file = join(folder, 'letters.ndjson');
      const exported = await dlq('export', '--output', file);
      expect(exported).toMatchObject({ code: 0, stdout: '', stderr: '3 letters exported\n' });
      expect(await readFile(file, 'utf8')).toBe(`${list.stdout}\n`);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      expect(await readdir(folder)).toEqual(['letters.ndjson']);
      expect((await dlq('export')).stdout).toBe(list.stdout);
      const nowhere = await dlq('export', '--output', join(folder, 'none', 'x'));
      expect(nowhere.code).toBe(1);
      expect(nowhere.stderr).toContain('cannot be written');
    } finally {
      await rm(folder, { recursive: true });
    }
    const everything = [summary, list, human, shown].map(({ stdout, stderr }) => stdout + stderr).join();
    expect(everything).not.toContain('not-to-be-seen');
  }, 120_000);

  it('ends without an error when its reader closes the pipe', async () => {
    await makeInvalidLetters(redis, keys, 'u', 3_000);
    for (const verb of ['list', 'list --json', 'export']) {
      const { code, stdout, stderr } = await shell(
        `set -o pipefail; "${process.execPath}" "${cli}" dlq ${verb} | head -n 1`,
      );
      expect({ verb, code, lines: stdout.trimEnd().split('\n').length }).toEqual({ verb, code: 0, lines: 1 });
      expect(stderr.replace(/^\d+ letters exported\n/, '')).toBe('');
    }
  }, 120_000);

  it('20,000 letters of 80 MB are exported in 48 MB of heap', async () => {
    await makeInvalidLetters(redis, keys, 'u', 20_000, 'x'.repeat(4_000));
    const folder = await mkdtemp(join(tmpdir(), 'imsync-export-'));
    try {
      const file = join(folder, 'letters.ndjson');
      const { code, stderr } = await imsyncRun(['dlq', 'export', '--output', file], {
        ...env,
        NODE_OPTIONS: '--max-old-space-size=48',
      });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '20000 letters exported\n' });
      expect((await stat(file)).size).toBeGreaterThan(80_000_000);
      const ids = (await readFile(file, 'utf8')).match(/^\{"eventId":"\d+-\d+"/gm) ?? [];
      expect(new Set(ids).size).toBe(20_000);
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 120_000);
});

describe('redrive', () => {
  it('imports a refused account and a refused profile, and keeps their history', async () => {
    const { ann, bob, cyd } = await trouble();
    const dry = await dlq('redrive', '--dry-run');
    expect(dry.code).toBe(0);
    expect(dry.stdout).toContain('would redrive 2 letters of 2 users');
    expect(dry.stdout).toContain('left out: 1 user: they have invalid letters only');

    simulator.setFaults({});
    const done = await dlq('redrive', '--json', '--rate', '100');
    expect(done.code).toBe(0);
    expect(JSON.parse(done.stdout)).toEqual({
      id: 'r1',
      letters: 2,
      users: 2,
      calls: 1,
      imported: expect.any(Number),
      failed: 0,
      left: { invalid: 1 },
      givenUp: null,
    });
    await resolvedToBe(2);
    expect(simulator.accounts.get('ann')).toMatchObject({ nick: 'Ann' });
    expect(simulator.accounts.get('bob')).toMatchObject({ nick: 'a curse' });

    const resolved = await dlq('list', '--state', 'resolved', '--json');
    expect(resolved.stdout.split('\n').map((line) => JSON.parse(line))).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          eventId: ann,
          resolvedBy: ann,
          resolvedAt: expect.any(Number),
          redrives: [{ at: expect.any(Number), by: expect.stringMatching(/^.+@.+$/) }],
        }),
        expect.objectContaining({ eventId: bob, resolvedBy: bob }),
      ]),
    );
    expect((await dlq('show', bob)).stdout).toMatch(/^next +nothing/m);
    const again = await dlq('redrive', ann);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('is resolved') });
    const invalid = await dlq('redrive', '--reason', 'invalid');
    expect(invalid.stdout).toContain('redriven: 1 letter of 1 user');
    await eventually('the invalid one is dead again', async () => {
      const letter = JSON.parse((await dlq('show', cyd, '--json')).stdout) as Record<string, unknown>;
      return letter.state === 'dead' && (letter.redrives as unknown[]).length === 1;
    });
    expect(await booksProblems(redis, keys)).toEqual([]);
    expect(await letterProblems(redis, keys)).toEqual([]);
    expect((await audit(redis, keys)).problems).toEqual([]);
  }, 120_000);

  it('is finished by the sweep when it was killed before its job was added', async () => {
    simulator.setFaults(refusing('ann'));
    await push({ userId: 'ann', nick: 'Ann' });
    await startWorker();
    await lettersToBe(1);
    simulator.setFaults({});
    await redriveUsers(
      { redis, keys },
      {
        users: ['ann'],
        by: 'test',
        batchCommand: 'multiaccount_import',
        singleCommand: 'account_import',
        maxOpenCalls: 1,
        dryRun: false,
        early: false,
        invalid: false,
      },
    );
    await resolvedToBe(1);
    expect(simulator.accounts.get('ann')).toMatchObject({ nick: 'Ann' });
  }, 120_000);

  it('stops with a sentence when calls are paused and enough redrive calls wait', async () => {
    const users = Array.from({ length: 5 }, (_, i) => `u${i}`);
    simulator.setFaults(refusing(...users));
    for (const userId of users) await push({ userId });
    await startWorker();
    await lettersToBe(5);
    simulator.setFaults({});
    // Nothing is redriven while Redis is nearly full: live events need the rest of its memory.
    const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
    await redis.config('SET', 'maxmemory', String(Math.round(used / 0.88)));
    const full = await dlq('redrive');
    await redis.config('SET', 'maxmemory', '0');
    expect([full.code, full.stdout]).toEqual([1, expect.stringContaining('Redis is nearly full')]);
    await redis.hset(keys.hold, 'paused', '1');
    // A batch of one user and a quota of five calls: one redrive call may be open.
    const small = { ...env, IMSYNC_BATCH_MAX_SIZE: '1', IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: '5' };
    const stopped = await imsyncRun(['dlq', 'redrive'], small);
    expect(stopped.code).toBe(1);
    expect(stopped.stdout).toContain('redriven: 1 letter of 1 user, in 1 call');
    expect(stopped.stdout).toContain('stopped: calls are paused');
  }, 120_000);

  it('killed and resumed, it redrives each letter once; the list shows who did it', async () => {
    await makeInvalidLetters(redis, keys, 'u', 30);
    await startWorker();
    // The letters die again. The resumed redrive must not take them a second time.
    const invalid = ['dlq', 'redrive', '--reason', 'invalid'];
    const killed = imsync([...invalid, '--rate', '10', '--as', 'Ann, 4711'], env);
    await eventually('some are redriven', async () =>
      (await redriven()).some((count) => count > 0) ? true : undefined,
    );
    killed.signal('SIGKILL');
    await killed.ended;
    expect(await dlq('redrive', '--resume', 'r1')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('r1 is running (Ann, 4711 ('),
    });
    // This replaces the wait of 15 s after which a silent run counts as interrupted.
    const run = JSON.parse(String(await redis.hget(keys.redrives, 'r1'))) as Record<string, unknown>;
    await redis.hset(keys.redrives, 'r1', JSON.stringify({ ...run, seenAt: 1 }));
    const listed = JSON.parse((await dlq('redrives', '--json')).stdout);
    expect(listed).toMatchObject({
      id: 'r1',
      state: 'interrupted',
      by: expect.stringMatching(/^Ann, 4711 \(.+@.+\)$/),
    });

    const refusal = await dlq('redrive', '--resume', 'r1', '--code', '0');
    expect(refusal).toMatchObject({ code: 2, stderr: expect.stringContaining('leave the filter out') });
    expect(await dlq('redrive', '--resume', 'r9')).toMatchObject({ code: 1 });
    const resumed = await dlq('redrive', '--resume', 'r1', '--rate', '1000');
    expect(resumed.code).toBe(0);
    await eventually('all are dead again', async () => (await redis.zcard(keys.deadByTime)) === 30);
    expect(await redriven()).toEqual(Array.from({ length: 30 }, () => 1));
    expect((await dlq('redrives')).stdout).toMatch(/^r1 {2}\S+ {2}done {2}.* {2}--reason invalid --rate 10$/);
    expect(await letterProblems(redis, keys)).toEqual([]);
  }, 120_000);

  /** How often each dead letter was redriven. */
  async function redriven(): Promise<number[]> {
    const eventIds = await redis.zrange(keys.deadByTime, '0', '-1');
    const texts = await Promise.all(eventIds.map((id) => redis.hget(keys.deadPrefix + id, 'redrives')));
    return texts.map((text) => (JSON.parse(text ?? '[]') as unknown[]).length);
  }

  it('takes users from standard input, ends on Ctrl-C, and reports a file that does not exist', async () => {
    await makeInvalidLetters(redis, keys, 'u', 3);
    const piped = await shell(
      `printf 'u0\\nu2\\nnobody\\n' | "${process.execPath}" "${cli}" dlq redrive --file - --reason invalid --json`,
    );
    expect(JSON.parse(piped.stdout)).toMatchObject({ users: 2, left: { unnamed: 1 }, givenUp: null });
    const nowhere = await dlq('redrive', '--file', '/nowhere/list');
    expect(nowhere).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('/nowhere/list cannot be read'),
    });
    expect(await dlq('redrive', '--file', 'x', '--all')).toMatchObject({ code: 2 });

    await redis.flushall();
    await makeInvalidLetters(redis, keys, 'u', 5);
    const interrupted = imsync(['dlq', 'redrive', '--rate', '1', '--reason', 'invalid'], env);
    await eventually('the first is redriven', async () => (await redis.zcard(keys.deadRedriving)) > 0);
    interrupted.signal('SIGINT');
    expect(await interrupted.ended).toBe(1);
    expect(interrupted.lines).toContain('continue with: imsync dlq redrive --resume r1');
    expect(JSON.parse((await dlq('redrives', '--json')).stdout)).toMatchObject({ state: 'interrupted' });
  }, 120_000);

  it('requires a password in hosted mode, because no letter holds one', async () => {
    const refused = await imsyncRun(['dlq', 'redrive'], { ...env, IMSYNC_API: 'hosted' });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--password-file') });
  });
});

describe('delete', () => {
  it('needs a selection, and asks before it deletes all letters', async () => {
    const ids = await makeInvalidLetters(redis, keys, 'u', 5);
    expect(await dlq('delete')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Say which letters'),
    });
    expect(await dlq('delete', '--limit', '1')).toMatchObject({ code: 2 });
    expect(await dlq('delete', ids[0] ?? '', '--code', '1')).toMatchObject({ code: 2 });
    expect(await dlq('delete', '--all')).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
    expect(await redis.zcard(keys.deadByTime)).toBe(5);

    expect(await dlq('delete', ids[0] ?? '')).toMatchObject({ code: 0, stdout: '1 letter deleted' });
    expect(await dlq('delete', ids[0] ?? '')).toMatchObject({ code: 1 });
    expect(await dlq('delete', '--user', 'u1')).toMatchObject({ code: 0, stdout: '1 letter deleted' });
    expect(await dlq('delete', '--state', 'resolved')).toMatchObject({
      code: 0,
      stdout: '0 letters deleted',
    });
    if (process.platform === 'linux') {
      // `script` lends a terminal.
      const ask = `script -qec '"${process.execPath}" "${cli}" dlq delete --all' /dev/null`;
      const no = await shell(`echo no | ${ask}`);
      expect(no.stdout).toContain('nothing was deleted');
      expect(await redis.zcard(keys.deadByTime)).toBe(3);
      const yes = await shell(`echo yes | ${ask}`);
      expect(yes.stdout).toContain('3 letters deleted');
    } else await dlq('delete', '--all', '--yes');
    expect(await redis.keys(`${keys.deadPrefix.slice(0, -1)}*`)).toEqual([]);
    const status = JSON.parse((await imsyncRun(['status', '--json'], env)).stdout) as Record<string, unknown>;
    expect(status).toMatchObject({ totals: { accepted: 5, deadLettered: 5 }, deadLetters: { total: 0 } });
  }, 120_000);
});

describe('usage', () => {
  it.each([
    [['dlq', 'nonsense']],
    [['dlq', 'list', '--older-than', '2 hours']],
    [['dlq', 'list', '--reason', 'bad luck']],
    [['dlq', 'show', 'alice']],
    [['dlq', 'redrive', '--rate', '0']],
  ])('%j is refused with 2', async (args) => {
    const { code, stderr } = await imsyncRun(args, env);
    expect({ code, said: stderr.length > 0 }).toEqual({ code: 2, said: true });
  });

  it('exits with 1 for a letter that does not exist, and with 3 when Redis is away', async () => {
    expect(await dlq('show', '1-1')).toMatchObject({ code: 1, stderr: expect.stringContaining('no letter') });
    const away = { ...env, IMSYNC_REDIS_URL: `redis://127.0.0.1:${await freePort()}` };
    for (const verb of [['summary'], ['redrive']])
      expect({ verb, code: (await imsyncRun(['dlq', ...verb], away)).code }).toEqual({ verb, code: 3 });
  }, 120_000);

  it.each(['summary', 'list', 'show', 'redrive', 'redrives', 'delete', 'export'])(
    'dlq %s --help explains itself',
    async (verb) => {
      const { code, stdout } = await dlq(verb, '--help');
      expect(code).toBe(0);
      expect(stdout).toMatch(new RegExp(`Usage: imsync dlq ${verb}`));
      if (verb !== 'summary') expect(stdout).toMatch(/Examples?:\n {2}imsync dlq/);
    },
  );
});

function shell(command: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('IMSYNC_'));
  const child = spawn('bash', ['-c', command], {
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}
