import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const stream = '{imsync:1400000000}:user-created';

/** A user's program, one per module system. The type check reads the same text. */
const imports = "import { NotAcceptedError, UserCreatedProducer } from 'im-account-sync';";
const requires = "const { NotAcceptedError, UserCreatedProducer } = require('im-account-sync');";
const body = `
async function main() {
  const producer = new UserCreatedProducer({
    sdkAppId: 1400000000,
    redis: { url: process.env.REDIS_URL ?? '' },
  });
  try {
    const eventId = await producer.add({ userId: 'alice', nick: 'Alice' });
    process.stdout.write(eventId);
  } catch (error) {
    if (error instanceof NotAcceptedError) process.exitCode = 1;
    throw error;
  } finally {
    await producer.close();
  }
}
void main();
`;
const typeErrors = `
const typed = new UserCreatedProducer({ sdkAppId: 1 });
// @ts-expect-error a number is not a string
void typed.add({ userId: 42 });
// @ts-expect-error there is no such field
void typed.add({ userId: 'alice', nickname: 'Alice' });
const id: Promise<string> = typed.add({ userId: 'alice', type: 1, extra: { plan: 'free' } });
void id;
`;

let folder: string;
let tarball: string;
let packed: string[];
let server: TestRedis;
let redis: RedisClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-package-'));
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout } = await run('npm', args, { cwd: root });
  const [report] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  tarball = join(folder, report.filename);
  packed = report.files.map(({ path }) => path);
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
}, 120_000);

afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

test('the package holds only code, configuration and documents', async () => {
  const strange = packed.filter(
    (path) =>
      !/^(?:dist\/.*\.(?:js|lua|d\.ts)|dist\/cjs\/package\.json|config\/\w+\.json)$/.test(path) &&
      !/^dist\/console\/page\/(?:index\.html|licenses\.txt|assets\/[\w-]+\.(?:css|svg))$/.test(path) &&
      !['package.json', 'LICENSE', 'README.md', 'README.zh-CN.md', 'CHANGELOG.md'].includes(path),
  );
  expect(strange).toEqual([]);
  expect(packed).toEqual(
    expect.arrayContaining([
      'LICENSE',
      'README.md',
      'README.zh-CN.md',
      'dist/cli.js',
      'dist/console/page/index.html',
    ]),
  );
  const scripts = async (of: string): Promise<string[]> =>
    (await readdir(join(root, of), { recursive: true })).filter((path) => path.endsWith('.lua')).sort();
  const shipped = packed.filter((path) => path.endsWith('.lua')).map((path) => path.slice('dist/'.length));
  expect(shipped.sort()).toEqual(await scripts('src'));
});

test('package.json describes the package correctly', async () => {
  const { buffer } = new Uint8Array(await readFile(tarball));
  const { messages } = await publint({ strict: true, pack: { tarball: buffer } });
  expect(messages).toEqual([]);
});

test('its types resolve in every way that Node and TypeScript look them up', async () => {
  const result = await checkPackage(createPackageFromTarballData(await readFile(tarball)));
  if (!('problems' in result)) throw new Error('the package holds no types');
  expect(Object.keys(result.entrypoints)).toEqual(['.', './outbox', './package.json']);
  expect(result.problems).toEqual([]);
}, 120_000);

test.each([
  ['module', imports],
  ['commonjs', requires],
])(
  'the producer is used from a project of type %s',
  async (type, head) => {
    const project = await projectOf(type);
    await writeFile(join(project, 'push.js'), `${head}\n${body}`);
    // Newer versions of Node can require an ES module; the oldest that we support cannot.
    const flags = ['--no-experimental-require-module'];
    const { stdout: eventId } = await run(process.execPath, [...flags, 'push.js'], {
      cwd: project,
      env: { PATH: process.env.PATH, REDIS_URL: server.url },
    });
    expect(await redis.xrange(stream, eventId, eventId)).toEqual([
      [eventId, ['userId', 'alice', 'nick', 'Alice']],
    ]);
  },
  60_000,
);

test.each(['module', 'commonjs'])(
  'its types compile in a project of type %s',
  async (type) => {
    const project = await projectOf(type);
    const options = { module: 'NodeNext', target: 'ES2022', strict: true, noEmit: true, types: ['node'] };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }));
    await writeFile(join(project, 'push.ts'), imports + body + typeErrors);
    await writeFile(join(project, 'outbox.ts'), outbox);
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { stdout } = await run(process.execPath, [tsc, '-p', project]).catch((error) => error);
    expect(stdout).toBe('');
  },
  120_000,
);

test('the command runs from the installed package', async () => {
  const project = await projectOf('module');
  const cli = join(project, 'node_modules/im-account-sync/dist/cli.js');
  const { stdout } = await run(process.execPath, [cli, 'push', '--user-id', 'bob'], {
    env: { PATH: process.env.PATH, IMSYNC_REDIS_URL: server.url, IMSYNC_SDK_APP_ID: '1400000000' },
  });
  expect(await redis.xrange(stream, stdout.trim(), stdout.trim())).toHaveLength(1);
  // It loads a component with a build of its own.
  const help = await run(process.execPath, [cli, 'simulate', '--help']);
  expect(help.stdout).toContain('Usage: imsync simulate');
}, 120_000);

const outbox = `import { insert } from 'im-account-sync/outbox';
void insert({ query: async () => undefined }, { userId: 'alice', nick: 'Alice' });
// @ts-expect-error a user needs an ID
void insert({ query: async () => undefined }, { nick: 'Alice' });
`;

let projects = 0;

/** A new project beside the repository, with the packed package and its dependencies; without the network. */
async function projectOf(type: string): Promise<string> {
  const project = join(folder, `project-${++projects}`);
  const modules = join(project, 'node_modules');
  const home = join(modules, 'im-account-sync');
  await mkdir(home, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', home, '--strip-components=1']);
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'project', private: true, type }));
  const { dependencies } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8'));
  for (const name of [...Object.keys(dependencies), '@types/node']) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(root, 'node_modules', name), join(modules, name));
  }
  return project;
}
