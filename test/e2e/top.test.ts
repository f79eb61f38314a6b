import { readFile } from 'node:fs/promises';
import { watchCommands } from '../../bench/stage/watch-commands.ts';
import { eventually } from '../support/eventually.ts';
import { imsyncInTerminal, type TerminalProcess } from '../support/pseudo-terminal.ts';
import { type Stage, setStage } from '../support/stage.ts';

/** `imsync top` in a pseudo-terminal, beside real workers. */

const ENTERED = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEFT = '\x1b[?7h\x1b[?25h\x1b[?1049l';
let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
  await Promise.all([stage.worker(), stage.worker()]);
}, 120_000);
afterAll(() => stage.end(), 60_000);

async function top(args: readonly string[] = [], env: Record<string, string> = {}): Promise<TerminalProcess> {
  const process = imsyncInTerminal(['top', ...args], { ...stage.env, ...env });
  await process.shows('2 workers send');
  return process;
}

/** The terminal is as it was: its own screen, a cursor, wrapping lines, keys that echo. */
async function isRestored(process: TerminalProcess, code: number): Promise<void> {
  expect(await process.ended).toEqual({ code, isCooked: true });
  expect(process.written()).toContain(ENTERED);
  expect(process.written().trimEnd().endsWith(LEFT)).toBe(true);
}

test('it shows a hold, dead letters and what calls were answered, within 80 by 24, and q ends it', async () => {
  const process = await top();
  await process.shows('State      running');
  stage.simulator.setFaults({
    rules: [{ match: { userIdPattern: '^bad' }, action: { accountCode: 70402 } }],
  });
  for (let i = 0; i < 20; i++) await stage.push({ userId: i % 10 === 0 ? `bad-${i}` : `u${i}` });
  const lines = await process.shows(/codes: 70402 \(2\)[\s\S]*account_import +70402 +\d/);
  expect(lines.length).toBeLessThanOrEqual(24);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(lines.join('\n')).toMatch(/multiaccount_import 0 +\d+ +\d+ % +\d+ ms/);
  stage.simulator.setFaults({
    rules: [{ match: {}, action: { errorCode: 70003, errorInfo: 'UserSig is wrong' } }],
  });
  await stage.push({ userId: 'held' });
  await process.shows(/held \(\w+\) for \d+ s; next probe (in \d+ s|due now)\n +70003 UserSig is wrong/);
  // While it is held, the probes are the only calls.
  await process.shows(/account_check +70003/);
  await stage.verb(['pause', '--reason', 'a look', '--as', 'Ann']);
  await process.shows(/paused by Ann \(.*\) for \d+ s: a look/);
  stage.simulator.setFaults({});
  await stage.verb(['resume']);
  await process.shows('State      running', 60_000);
  process.keys('q');
  await isRestored(process, 0);
}, 120_000);

test.each([
  ['Ctrl-C', (process: TerminalProcess) => process.keys('\x03'), 0],
  ['SIGINT', (process: TerminalProcess) => process.signal(2), 0],
  ['SIGTERM', (process: TerminalProcess) => process.signal(15), 143],
  ['SIGHUP', (process: TerminalProcess) => process.signal(1), 129],
])(
  'the terminal is restored after %s',
  async (_name, end, code) => {
    const process = await top();
    end(process);
    await isRestored(process, code);
  },
  60_000,
);

test('Ctrl-Z gives the terminal to the shell, and the screen comes back afterwards', async () => {
  const process = await top();
  process.keys('\x1a');
  // The test's terminal has no shell: nothing can stop the process, and it comes back at once.
  await eventually('it left and came back', () => process.written().split(ENTERED).length === 3);
  expect(process.written().split(ENTERED)[1]).toContain(LEFT);
  process.keys('q');
  await isRestored(process, 0);
}, 120_000);

test('the terminal is restored after an error that nobody caught, and the error can be read', async () => {
  const broken = imsyncInTerminal(['top'], {
    ...stage.env,
    // A timer of this module throws once the screen is taken.
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent("setTimeout(() => { throw new Error('broken on purpose'); }, 5000)")}`,
  });
  const { code, isCooked } = await broken.ended;
  expect([code, isCooked]).toEqual([1, true]);
  const [before = '', after = ''] = broken.written().split(LEFT);
  expect(before).toContain(ENTERED);
  expect(after).toContain('broken on purpose');
}, 120_000);

test('it draws again at once when the terminal changes its size', async () => {
  const process = await top(['--interval', '60']);
  process.resize(40, 120);
  await process.shows(/\[[#-]{30}\]/);
  process.resize(24, 50);
  expect(await process.shows('q quits. imsync top needs 60 columns; the terminal')).toHaveLength(2);
  process.keys('q');
  await isRestored(process, 0);
}, 120_000);

test('NO_COLOR leaves the colours out, and only them', async () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a colour of a terminal
  const colours = /\x1b\[(?:\d;)?(?:[1-9]|3\d)m/;
  const [plain, coloured] = await Promise.all([top([], { NO_COLOR: '1' }), top()]);
  expect(plain.written()).not.toMatch(colours);
  expect(coloured.written()).toMatch(colours);
  for (const process of [plain, coloured]) {
    process.keys('q');
    await isRestored(process, 0);
  }
}, 120_000);

test('without a terminal, with --once and with TERM=dumb it prints one frame as plain text', async () => {
  const piped = await stage.verb(['top']);
  expect([piped.code, piped.stderr]).toEqual([0, '']);
  expect(piped.stdout).toMatch(
    /^imsync top {2}app 1400000000[\s\S]*\nState {6}running\n[\s\S]*2 workers send/,
  );
  for (const [args, env] of [
    [['top', '--once'], {}],
    [['top'], { TERM: 'dumb' }],
  ] as const) {
    const once = imsyncInTerminal(args, { ...stage.env, ...env });
    expect(await once.ended).toEqual({ code: 0, isCooked: true });
    expect(once.written()).toContain('State      running');
    expect(once.written()).not.toContain('\x1b');
  }
  const { code, stderr } = await stage.verb(['top', '--interval', '0.1']);
  expect([code, stderr]).toEqual([2, expect.stringContaining('a number of seconds, 0.5 to 60')]);
}, 120_000);

test('Redis away: it says for how long, keeps what it showed, and goes on', async () => {
  const process = await top();
  await stage.redis.kill();
  await process.shows(
    /This is [2-9] s old: Redis gives no answer \(the connection was closed\)[\s\S]*Events +waiting/,
  );
  await stage.redis.restart();
  await eventually('it goes on', () => !process.frame().join('\n').includes('no answer'));
  await process.shows('2 workers send');
  process.keys('q');
  await isRestored(process, 0);
}, 120_000);

test('Redis silent: it says so, and q ends it', async () => {
  const process = await top();
  global.process.kill(stage.redis.pid(), 'SIGSTOP');
  try {
    await process.shows(/This is \d+ s old: Redis gives no answer \(it is connected and silent\)/);
    process.keys('q');
    await isRestored(process, 0);
  } finally {
    global.process.kill(stage.redis.pid(), 'SIGCONT');
  }
}, 120_000);

test('a look costs Redis as many commands as docs/operations.md says', async () => {
  const watch = await watchCommands(stage.client, stage.redis.port);
  await watch.clear();
  expect((await stage.verb(['top', '--once'])).code).toBe(0);
  await watch.caughtUp();
  watch.close();
  const own = watch.lines.find(({ first }) => first === stage.keys.feedRequests)?.source;
  // A script's own commands follow it.
  let source = '';
  const executed = watch.lines.flatMap((line) => {
    if (line.source !== 'lua') source = line.source;
    return source === own ? [line] : [];
  });
  const ends = executed.flatMap((line, i) =>
    line.source === own && /^time$/i.test(line.command) ? [i] : [],
  );
  expect(ends).toHaveLength(2);
  const look = executed.slice((ends[0] ?? 0) + 1, (ends[1] ?? 0) + 1);
  const isOfFeed = ({ command }: { command: string }): boolean => /^publish$/i.test(command);
  const sent = look.filter((line) => line.source === own && !isOfFeed(line)).length;
  const all = look.filter((line) => !isOfFeed(line)).length;
  const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  expect(page).toContain(`sends ${sent} commands; with those of scripts Redis executes ${all}`);
}, 120_000);
