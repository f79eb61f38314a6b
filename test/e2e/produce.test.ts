import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseEntry } from '../../src/event/fields.ts';
import { fencesOf } from '../support/pages.ts';
import { type Stage, setStage } from '../support/stage.ts';

/**
 * Every program in docs/produce.md runs as it stands there, against a real Redis: only the address is another one. A language
 * that is not on this machine is skipped, unless TEST_LANGUAGES is `all`.
 */
const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs/produce.md'), 'utf8');
const blocks = fencesOf(page);
/** These need a package that Debian does not have; the page says so. */
const NOT_RUN = ['rdb.XAdd', 'JedisPooled'];
const STREAM = '{imsync:1400000000}:user-created';
const LISTENS = 'HTTP intake listens: POST /v1/users, GET /v1/users/{id}, /openapi.json';

const isHere = (program: string): boolean =>
  existsSync(program) ||
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
const mustRun = process.env.TEST_LANGUAGES === 'all';
const testWith = (program: string) => (mustRun || isHere(program) ? test : test.skip);

let stage: Stage;
let folder: string;

beforeAll(async () => {
  stage = await setStage();
  folder = await mkdtemp(join(tmpdir(), 'imsync-produce-'));
}, 120_000);

afterAll(async () => {
  await stage.end();
  await rm(folder, { recursive: true, force: true });
});

/** The block of the page that holds this text, with the address of the test's Redis. */
function blockWith(text: string): string {
  const found = blocks.filter(({ code }) => code.includes(text));
  expect(found).toHaveLength(1);
  const port = new URL(stage.redis.url).port;
  return (found[0]?.code ?? '').replaceAll('6379', port);
}

async function ran(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { PATH = '' } = process.env;
  const { stdout } = await run(program, [...args], { cwd: root, env: { PATH, HOME: homedir(), ...env } });
  return stdout.trim();
}

async function written(name: string, code: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, code);
  return file;
}

/** The program printed the ID of an event that a worker reads as this user. */
async function expectEvent(eventId: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
  const [entry] = await stage.client.xrange(STREAM, eventId, eventId);
  const event = parseEntry({ eventId, fields: entry?.[1] ?? [] }, { adminId: 'administrator' });
  expect(event).toMatchObject({ ok: true, event: { userId: 'alice', nick: 'Alice', ...more } });
}

test('every program of the page stands in this file', () => {
  const programs = blocks.filter(({ code, language }) => language !== 'json' && code.includes('alice'));
  expect(programs).toHaveLength(8);
  for (const text of NOT_RUN) expect(page).toContain(text);
});

testWith('redis-cli')('redis-cli', async () => {
  const port = new URL(stage.redis.url).port;
  const line = blockWith('redis-cli XADD').replace('redis-cli', `redis-cli -p ${port}`);
  await expectEvent(await ran('sh', ['-c', line]), { faceUrl: 'https://example.com/a.png' });
});

test('JavaScript, from the package as it is built', async () => {
  await expectEvent(await ran('node', ['--input-type=module', '-e', blockWith('UserCreatedProducer')]));
});

testWith('/usr/bin/python3')('Python with redis-py', async () => {
  const file = await written('produce.py', blockWith('import redis'));
  await expectEvent(await ran('/usr/bin/python3', [file]));
});

testWith('php')('PHP with phpredis', async () => {
  await expectEvent(await ran('php', [await written('produce.php', blockWith('<?php'))]));
});

testWith('go')(
  'Go with redigo',
  async () => {
    const file = await written('produce.go', blockWith('gomodule/redigo'));
    const env = { GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOCACHE: join(folder, 'go-cache') };
    await expectEvent(await ran('go', ['run', file], env));
  },
  240_000,
);

testWith('java')(
  'Java without a package: examples/Producer.java',
  async () => {
    const env = { IMSYNC_SDK_APP_ID: '1400000000', IMSYNC_REDIS_URL: stage.redis.url };
    const args = ['examples/Producer.java', 'alice', 'Alice', 'https://example.com/a.png'];
    await expectEvent(await ran('java', args, env), { faceUrl: 'https://example.com/a.png' });
    await expect(ran('java', ['examples/Producer.java', 'x'.repeat(33)], env)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('32 bytes'),
    });
  },
  120_000,
);

testWith('curl')(
  'HTTP with curl',
  async () => {
    await ran('sh', [
      '-c',
      `cd ${folder} && ${blocks.find(({ code }) => code.startsWith('openssl'))?.code.split('\n')[0]}`,
    ]);
    const worker = await stage.worker({
      IMSYNC_INTAKE_PORT: '0',
      IMSYNC_INTAKE_TOKENS_FILE: join(folder, 'intake-tokens'),
    });
    const { url } = await worker.line(LISTENS);
    const script = blockWith('curl').replaceAll('http://127.0.0.1:8080', String(url));
    const lines = (await ran('sh', ['-c', `cd ${folder}; ${script.replaceAll('curl ', 'curl -s ')}`]))
      .split(/(?<=\})(?=\{)/)
      .map((line) => JSON.parse(line));
    const shown = JSON.parse(blocks.find(({ language }) => language === 'json')?.code ?? '');
    const [accepted, state] = lines;
    const { eventId } = accepted.results[0];
    expect(accepted).toEqual({ ...shown, results: [{ ...shown.results[0], eventId }] });
    expect(state).toMatchObject({ userId: 'alice', hasAccount: true });
  },
  60_000,
);
