import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { planOf } from '../../src/cli/demo/plan.ts';
import { closeRedis, openRedis } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import { type ImsyncProcess, imsync, imsyncRun } from '../support/process.ts';

/** The temporary folder of the demo. Files that it leaves behind are here. */
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'imsync-demo-test-'));
});
/** The processes of a test. Those that a failing test leaves are killed after it. */
let started: number[] = [];
afterEach(() => {
  for (const pid of started.filter(isAlive)) process.kill(pid, 'SIGKILL');
  started = [];
  rmSync(folder, { recursive: true, force: true });
});

function demo(args: readonly string[], env: Readonly<Record<string, string>> = {}): ImsyncProcess {
  const run = imsync(['demo', ...args], { TMPDIR: folder, ...env });
  started.push(run.pid);
  return run;
}

/** Returns the running children of `pid`. */
function childrenOf(pid: number): number[] {
  const list = `/proc/${pid}/task/${pid}/children`;
  return existsSync(list) ? readFileSync(list, 'utf8').trim().split(' ').filter(Boolean).map(Number) : [];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits for Redis, the simulator and two workers. */
function allChildren(run: ImsyncProcess): Promise<number[]> {
  return eventually('the demo has four children', () => {
    const pids = childrenOf(run.pid);
    return pids.length === 4 && pids;
  }).then((pids) => {
    started.push(...pids);
    return pids;
  });
}

function textLine(run: ImsyncProcess, part: string): Promise<string> {
  return eventually(
    `a line with ${part} (stderr: ${run.stderr()})`,
    () => run.lines.find((line) => line.includes(part)),
    60_000,
  );
}

async function isOpen(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

const urlsIn = (text: string): string[] => text.match(/(?:http|redis):\/\/127\.0\.0\.1:\d+/g) ?? [];

async function expectNothingLeft(run: ImsyncProcess, pids: readonly number[]): Promise<void> {
  expect(pids.filter(isAlive)).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
  const urls = [...new Set(urlsIn(run.lines.join('\n')))];
  expect(urls.length).toBeGreaterThanOrEqual(2);
  for (const url of urls) expect([url, await isOpen(url)]).toEqual([url, false]);
}

describe('imsync demo', () => {
  test('accounts for every signup, prints plain lines and leaves nothing behind', async () => {
    const run = demo(['--signups', '500'], {
      IMSYNC_REDIS_URL: 'redis://127.0.0.1:1',
      IMSYNC_BASE_URL: 'http://127.0.0.1:1',
    });
    const pids = await allChildren(run);
    expect(await run.ended).toBe(0);
    const text = run.lines.join('\n');
    expect(text).toContain('✓ imported + superseded + dead letters = 500, as many as signed up');
    expect(text).toMatch(/✓ the simulator counts 49\d accounts: every user's, each with the newest nick/);
    expect(text).toMatch(/✓ multiaccount_import: most calls in any second \d+ of 100 allowed/);
    expect(text).toMatch(/1 × rejected 70399: .*\n +for example "user-/);
    expect(text).toMatch(/1 × profile 40005: /);
    expect(text).toMatch(/1 × invalid: .*\n +for example "@TIM#/);
    expect(text).toContain('the API answers 70403, so all calls are held');
    expect(text).toContain('the API accepts calls again');
    expect(text).toContain('What to try next:');
    expect(run.lines.filter((line) => / s · imported /.test(line)).length).toBeGreaterThan(1);
    expect(text).not.toContain('\x1b');
    expect(run.stderr()).toBe('');
    await expectNothingLeft(run, pids);
  }, 90_000);

  test('--keep runs until SIGINT, and the printed lines let other commands join', async () => {
    const run = demo(['--signups', '200', '--keep']);
    const pids = await allChildren(run);
    await textLine(run, '/_sim/accounts/alice');
    const exported = run.lines.flatMap((line) => {
      const [, name = '', value = ''] = /^ {2}export (\w+)=(.*)$/.exec(line) ?? [];
      return name === '' ? [] : [[name, value] as const];
    });
    const env = Object.fromEntries(exported);
    const status = await imsyncRun(['status', '--json'], env);
    expect(JSON.parse(status.stdout)).toMatchObject({ totals: { accepted: 200 }, workers: [{}, {}] });
    expect((await imsyncRun(['push', '--user-id', 'alice', '--nick', 'Alice'], env)).code).toBe(0);
    const account = await eventually('alice has an account', async () => {
      const reply = await fetch(`${env.IMSYNC_BASE_URL}/_sim/accounts/alice`);
      return reply.ok ? ((await reply.json()) as { nick: string }) : undefined;
    });
    expect(account.nick).toBe('Alice');
    run.signal('SIGINT');
    expect(await run.ended).toBe(0);
    await expectNothingLeft(run, pids);
  }, 90_000);

  test('SIGINT in the middle leaves nothing behind', async () => {
    const run = demo(['--signups', '2000']);
    const pids = await allChildren(run);
    await textLine(run, ' s · imported ');
    run.signal('SIGINT');
    expect(await run.ended).toBe(1);
    expect(run.stderr()).toContain(
      'The demo was stopped before its end. Everything that it started was removed.',
    );
    await expectNothingLeft(run, pids);
  }, 90_000);

  test('a killed worker ends the demo with an error, and only the logs are kept', async () => {
    const run = demo(['--signups', '2000']);
    const pids = await allChildren(run);
    await textLine(run, ' s · imported ');
    const worker = pids.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').endsWith('worker\0'));
    process.kill(worker ?? 0, 'SIGKILL');
    expect(await run.ended).toBe(1);
    expect(run.stderr()).toMatch(/The demo's worker-\d was ended by SIGKILL.*\nThe logs are kept in /);
    expect(pids.filter(isAlive)).toEqual([]);
    const kept = /kept in (\S+)/.exec(run.stderr())?.[1] ?? '';
    expect(readdirSync(kept)).toEqual(
      expect.arrayContaining(['worker-1.log', 'worker-2.log', 'simulator.log']),
    );
    expect(readdirSync(kept)).not.toContain('secret-key');
  }, 90_000);

  test('a lost event ends the demo with exit code 1, and the logs are kept', async () => {
    const run = demo(['--signups', '1000']);
    const url = /redis:\S+\d/.exec(await textLine(run, 'redis://127.0.0.1'))?.[0] ?? '';
    const settings = { url, mode: 'standalone', nodes: [], sentinelName: '', password: '', ca: '' } as const;
    const client = openRedis(settings, 'loop', 'thief', () => undefined);
    const { stream } = keysOf(1400000000);
    // A user who signs up again gets an account from the newer event, so such a user is no victim.
    const repeats = planOf(1_000).signups.filter(({ nick }) => nick?.endsWith('(new)'));
    const repeated = new Set(repeats.map(({ userId }) => userId));
    await eventually('an event is stolen', async () => {
      const [entry] = await client.xrange(stream, '-', '+', 'COUNT', 1);
      if (entry === undefined || entry[1].some((value) => repeated.has(value))) return false;
      return (await client.xdel(stream, entry[0])) === 1;
    });
    await closeRedis(client);
    expect(await run.ended).toBe(1);
    expect(run.lines.join('\n')).toMatch(/✗ imported .* = 999 .* but 1,000 signed up and Redis accepted 999/);
    expect(run.lines.join('\n')).toMatch(/✗ the simulator counts .* 1 (missing|with an old nick)/);
    expect(run.stderr()).toMatch(/The totals do not balance.*\nThe logs are kept in /);
  }, 90_000);

  test('refuses an invalid number of signups', async () => {
    const { code, stderr } = await imsyncRun(['demo', '--signups', 'many'], { TMPDIR: folder });
    expect(code).toBe(2);
    expect(stderr).toContain('whole number from 1 to');
  }, 120_000);
});

describe('imsync demo without redis-server', () => {
  const redisServer = (process.env.PATH ?? '')
    .split(delimiter)
    .map((path) => join(path, 'redis-server'))
    .find(existsSync);
  const isRoot = process.getuid?.() === 0;

  function pathWith(aptScript?: string): string {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    if (aptScript !== undefined)
      writeFileSync(join(bin, 'apt-get'), `#!/bin/sh\n${aptScript}\n`, { mode: 0o755 });
    return bin;
  }

  test('says what to install if it cannot install it', async () => {
    const { code, stderr } = await imsyncRun(['demo'], { TMPDIR: folder, PATH: pathWith() });
    expect(code).toBe(3);
    expect(stderr).toMatch(/^imsync: redis-server .* is needed on the PATH.*apt-get install redis-server/);
    expect(readdirSync(folder)).toEqual(['bin']);
  }, 120_000);

  (isRoot ? test : test.skip)(
    'installs it with apt-get as root and says so',
    async () => {
      const bin = pathWith(
        `echo "$@" >>'${folder}/bin/asked'; [ "$1" = update ] || /bin/ln -s '${redisServer}' '${folder}/bin/redis-server'`,
      );
      const run = demo(['--signups', '1'], { PATH: bin });
      expect(await run.ended).toBe(0);
      expect(run.lines.join('\n')).toMatch(/installs it with apt-get[\s\S]*redis-server is installed/);
      expect(readFileSync(join(bin, 'asked'), 'utf8').split('\n').slice(0, 2)).toEqual([
        'update -qq',
        'install -y -qq --no-install-recommends redis-server',
      ]);
    },
    60_000,
  );

  (isRoot ? test : test.skip)(
    "quotes apt-get's error when it fails",
    async () => {
      const bin = pathWith('echo "E: no network" >&2; exit 100');
      const { code, stderr } = await imsyncRun(['demo'], { TMPDIR: folder, PATH: bin });
      expect(code).toBe(3);
      expect(stderr).toContain('apt-get update failed with exit code 100: E: no network.');
    },
    60_000,
  );
});
