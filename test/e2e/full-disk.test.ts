import { spawnSync } from 'node:child_process';
import { ACT_TOKEN, askConsole, CONSOLE_ENV, consoleUrl } from '../support/console-api.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { drained, linesOf, logOf, type Stage, setStageOn } from '../support/stage.ts';

/** The disk below Redis's append-only file is full, and has room again. A limit on the size of files stands for it. */

const TOKEN = 't-8c02f1a6d5b94e37';
const canLimit = spawnSync('prlimit', ['--version']).status === 0;

let server: TestRedis;
let stage: Omit<Stage, 'redis'>;
beforeAll(async () => {
  server = await startRedis([], {}, { ignoresFileLimit: true });
  stage = await setStageOn({ ...server, env: { IMSYNC_REDIS_URL: server.url } });
}, 60_000);
afterAll(() => stage.end(), 60_000);

function limitFiles(bytes: 'unlimited' | number): void {
  const { status } = spawnSync('prlimit', ['--pid', String(server.pid()), `--fsize=${bytes}:unlimited`]);
  expect(status).toBe(0);
}

(canLimit ? test : test.skip)(
  'a full disk is named everywhere, and heals by itself; what was accepted is imported',
  async () => {
    const worker = await stage.worker({
      IMSYNC_INTAKE_PORT: '0',
      IMSYNC_INTAKE_TOKENS: TOKEN,
      ...CONSOLE_ENV,
    });
    const console = await consoleUrl(worker);
    const urlOf = (msg: string): string => String(linesOf(worker, msg)[0]?.url);
    const push = async (userId: string): Promise<[number, string]> => {
      const response = await fetch(`${urlOf('HTTP intake listens')}/v1/users`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
        body: JSON.stringify({ userId }),
      });
      return [response.status, await response.text()];
    };
    // They wait in calls and in the stream while the disk is full.
    stage.simulator.setFaults({ rules: [{ match: { times: 1 }, action: { hangMs: 3_000 } }] });
    expect((await push('on-the-wire'))[0]).toBe(202);
    await eventually('its call is made', () => stage.simulator.report().allCommands.calls > 0);

    limitFiles(1);
    await eventually('Redis refuses', () =>
      stage.push({ userId: 'before-the-refusal' }).then(
        () => false,
        (error: Error) => error.message.startsWith('MISCONF'),
      ),
    );
    const refusal = 'Redis refuses to work: it cannot write its append-only file or its snapshot';
    await eventually('the log names it', () => linesOf(worker, refusal).length === 1);
    const ready = await fetch(`${urlOf('ops server listens')}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      {
        status: 'unready',
        problems: ['Redis cannot write its append-only file and refuses events. Look at its disk.'],
      },
    ]);
    expect((await fetch(`${urlOf('ops server listens')}/livez`)).status).toBe(200);
    expect((await stage.verb(['status'])).stdout).toMatch(
      /^Redis +Redis cannot write its append-only file and refuses events\. Look at its disk\.$/m,
    );
    expect((await stage.verb(['doctor'])).stdout).toContain('✗ Redis cannot write its append-only file');
    const token = ACT_TOKEN;
    await eventually('the console says it on top', async () => {
      const { json } = await askConsole(console, '/api/status', { token });
      return json.sentence.code === 'redis-refuses' && json.sentence.values.kind === 'disk';
    });
    const act = await askConsole(console, '/api/pause', { token, body: { reason: 'x' } });
    expect([act.status, act.json.error]).toEqual([503, 'redis-refuses']);
    const verb = await stage.verb(['pause']);
    expect([verb.code, verb.stderr]).toEqual([
      3,
      expect.stringMatching(/^imsync: Redis refused: MISCONF .*look at its log and its disk\.\n$/),
    ]);
    expect(await push('refused')).toEqual([503, expect.stringContaining('takes no writes')]);

    limitFiles('unlimited');
    await worker.line('Redis is back');
    await eventually('events are taken again', async () => (await push('after'))[0] === 202);
    await drained(stage);
    expect(stage.simulator.accounts.has('on-the-wire')).toBe(true);
    expect(stage.simulator.accounts.has('after')).toBe(true);
    const errors = logOf(worker).filter(({ level }) => level === 'error');
    expect(errors.map(({ msg }) => msg).sort()).toEqual([
      'HTTP intake answers 503: users cannot be accepted',
      expect.stringContaining(refusal),
    ]);
  },
  120_000,
);
