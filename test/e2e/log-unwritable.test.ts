import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { readTotals } from '../../src/ledger/totals.ts';
import { eventually } from '../support/eventually.ts';
import { parseMetrics } from '../support/metrics.ts';
import { type ImsyncProcess, imsync } from '../support/process.ts';
import { freePort } from '../support/redis-server.ts';
import { endAll, type Stage, setStage } from '../support/stage.ts';

const DROPPED = 'imsync_log_lines_dropped_total';
const SHUTDOWN_MS = 5_000;

let stage: Stage;
let folder: string;
let opsUrl: string;
let worker: ImsyncProcess;
let pushed = 0;

beforeEach(async () => {
  stage = await setStage();
  folder = mkdtempSync(join(tmpdir(), 'imsync-log-'));
  pushed = 0;
}, 120_000);
afterEach(async () => {
  await endAll([worker]);
  await stage.end();
  rmSync(folder, { recursive: true });
}, 120_000);

const ops = (path: string) => fetch(`${opsUrl}${path}`, { signal: AbortSignal.timeout(20_000) });
const dropped = async () => parseMetrics(await (await ops('/metrics')).text()).value(DROPPED) ?? 0;

/** Its log names every user at debug: 4 KB a call of a hundred. */
async function startWorker(
  output: Parameters<typeof imsync>[3],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const port = await freePort();
  opsUrl = `http://127.0.0.1:${port}`;
  const own = {
    IMSYNC_OPS_PORT: String(port),
    IMSYNC_LOG_LEVEL: 'debug',
    IMSYNC_SHUTDOWN_TIMEOUT_MS: String(SHUTDOWN_MS),
    IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: '1000',
  };
  worker = imsync(['worker'], { ...stage.env, ...own, ...env }, undefined, output);
}

const isReady = () => eventually('the worker is ready', async () => (await ops('/readyz')).status === 200);

async function push(users: number): Promise<void> {
  const batch = stage.client.pipeline();
  for (let i = 0; i < users; i++)
    batch.xadd(stage.keys.stream, '*', 'userId', `u${pushed++}`.padEnd(32, '_'));
  await batch.exec();
}

/** Every user pushed so far has an account, and the worker said all the while that it lives. */
async function imported(): Promise<void> {
  const statuses = new Set<number>();
  await eventually(
    `${pushed} users are imported`,
    async () => {
      statuses.add((await ops('/livez')).status);
      return (await readTotals(stage.client, stage.keys)).imported === pushed;
    },
    60_000,
  );
  expect(stage.simulator.accounts.size).toBe(pushed);
  expect([...statuses]).toEqual([200]);
}

/** SIGTERM with a call on the wire: it is heard to its end, and the process ends in time. */
async function stopsInOrder(): Promise<void> {
  stage.simulator.setFaults({ rules: [{ action: { latencyMs: [500, 500] } }] });
  await push(1);
  await eventually('a call on the wire', () =>
    stage.simulator.calls().some(({ outcome }) => outcome === 'pending'),
  );
  const startedMs = performance.now();
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(0);
  // Half of it: nothing here takes so long, and the log must not be what it is waited for.
  expect(performance.now() - startedMs).toBeLessThan(SHUTDOWN_MS / 2);
  expect(stage.simulator.accounts.size).toBe(pushed);
  expect((await readTotals(stage.client, stage.keys)).imported).toBe(pushed);
}

/** A pipe that the test has the other end of. */
function openPipe(): { readEnd: number; writeEnd: number } {
  const path = join(folder, 'pipe');
  spawnSync('mkfifo', [path]);
  const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { readEnd, writeEnd: openSync(path, constants.O_WRONLY) };
}

/**
 * How standard output reaches another process: a shell makes a pipe, systemd and Node a socket. Starts a
 * worker, and gives the end that it is read from.
 */
const CHANNELS: readonly [string, () => Promise<() => Readable>][] = [
  [
    'pipe',
    async () => {
      const { readEnd, writeEnd } = openPipe();
      // Another process of the same pipe ends, and sets it back to waiting for its reader, as Node does.
      const stdio = ['pipe', writeEnd, 'pipe'] as const;
      const peer = spawn(process.execPath, ['-e', "console.error('up'); process.stdin.resume()"], {
        stdio: [...stdio],
      });
      await once(peer.stderr as Readable, 'data');
      await startWorker({ stdout: writeEnd });
      closeSync(writeEnd);
      await isReady();
      peer.stdin?.end();
      await once(peer, 'close');
      return () => new Socket({ fd: readEnd, readable: true });
    },
  ],
  [
    'socket',
    async () => {
      await startWorker({});
      const stdout = worker.child.stdout as Readable;
      stdout.removeAllListeners('data').pause();
      await isReady();
      return () => stdout;
    },
  ],
];

describe.each(CHANNELS)('a worker whose log is a %s without a reader', (_kind, start) => {
  it('imports, drops and counts lines, and reports the gap when the reader comes back', async () => {
    const reader = await start();
    await eventually(
      'lines are dropped',
      async () => {
        await push(5_000);
        await imported();
        return (await dropped()) > 0;
      },
      120_000,
    );
    let text = '';
    const output = reader().on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    output.resume();
    await eventually('the gap is told', () => /log lines are missing here.*\n/.test(text));
    const missing = await dropped();
    await stopsInOrder();
    await eventually('the last line is there', () => text.includes('"worker stopped"'));
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const told = lines.filter(({ msg }) => String(msg).includes('missing'));
    expect(told).toEqual([
      expect.objectContaining({ level: 'warn', lines: missing, since: expect.any(String), error: 'EAGAIN' }),
    ]);
    expect(lines[0]?.msg).toMatch(/^ops server listens/);
    expect(lines.at(-1)?.msg).toBe('worker stopped');
  }, 180_000);

  it('stops on SIGTERM', async () => {
    await start();
    await push(10_000);
    await imported();
    await stopsInOrder();
  }, 120_000);

  it('goes on when the reader has gone', async () => {
    const reader = (await start())();
    reader.destroy();
    await push(1_000);
    await imported();
    await stopsInOrder();
  }, 120_000);
});

it('a full disk does not end the worker, even if a library writes there too', async () => {
  const full = openSync('/dev/full', 'w');
  // From when the worker runs: what comes before it is not its own.
  const noise = `setInterval(() => {
    if (process.stdout.listenerCount('error') === 0) return;
    console.log('noise');
    console.error('noise');
  }, 50).unref()`;
  await startWorker(
    { stdout: full, stderr: full },
    { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(noise)}` },
  );
  closeSync(full);
  await isReady();
  await push(1_000);
  await imported();
  await stopsInOrder();
}, 120_000);

it('a disk with room again gets every line, whole and once', async () => {
  const path = join(folder, 'log');
  const file = openSync(path, 'w');
  await startWorker({ stdout: file });
  closeSync(file);
  await isReady();
  const limit = (bytes: number | 'unlimited') =>
    expect(spawnSync('prlimit', ['--pid', String(worker.pid), `--fsize=${bytes}:`]).status).toBe(0);
  // In the middle of a line, as a disk may be full.
  limit(readFileSync(path).length + 1_000);
  await push(1_000);
  await imported();
  limit('unlimited');
  await eventually('the log goes on', () => readFileSync(path, 'utf8').split('call made').length > 10);
  await stopsInOrder();
  const lines = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.filter(({ msg }) => msg.startsWith('call made'))).toHaveLength(stage.simulator.calls().length);
  expect(lines.at(-1).msg).toBe('worker stopped');
}, 120_000);

it('a verb whose output cannot be written says so', () => {
  const full = openSync('/dev/full', 'w');
  const { status, stderr } = spawnSync(process.execPath, ['dist/cli.js', 'config'], {
    stdio: ['ignore', full, 'pipe'],
    encoding: 'utf8',
  });
  closeSync(full);
  expect(stderr).toMatch(/^imsync: standard output cannot be written: .*ENOSPC.*\n$/);
  expect(status).toBe(1);
});
