import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../../scripts/check-rooms.js', import.meta.url));
const manifest = {
  imports: { '#simulator': './dist/simulator/command.js' },
  dependencies: { bullmq: '1', got: '1', ioredis: '1', pino: '1', '@scope/known': '1' },
  devDependencies: { 'type-fest': '1', '@types/convict': '1' },
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'imsync-rooms-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Writes the files below src/ and simulator/ and checks both; `said` is all output, a line each. */
function check(
  files: Readonly<Record<string, string>>,
  simulator: Readonly<Record<string, string>> = { 'a.ts': "import 'node:http';\nexport const a = 1;\n" },
): { code: number | null; said: string[] } {
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  const paths = [
    ...Object.entries(files).map(([name, content]) => [join(folder, 'src', name), content] as const),
    ...Object.entries(simulator).map(
      ([name, content]) => [join(folder, 'simulator', name), content] as const,
    ),
  ];
  for (const [path, content] of paths) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return run(folder);
}

function run(...args: string[]): { code: number | null; said: string[] } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  return { code: status, said: `${stdout}${stderr}`.trimEnd().split('\n') };
}

/** Something to import in every room. */
const rooms = Object.fromEntries(
  [
    'config',
    'event',
    'im',
    'redis',
    'producer',
    'pace',
    'ledger',
    'calls',
    'intake',
    'delivery',
    'tasks',
    'ops',
  ]
    .concat(['cli'])
    .map((room) => [`${room}/a.ts`, 'export const a = 1;\nexport type A = 1;\n']),
);

test('this project is in order', () => {
  const { code, said } = run();
  expect(said).toEqual([expect.stringMatching(/^\d+ modules, \d+ imports, rooms in order$/)]);
  expect(code).toBe(0);
});

test('every import that is allowed is counted and goes well', () => {
  const { code, said } = check({
    ...rooms,
    'event/b.ts':
      "import { a } from './a.ts';\nimport type { A } from '../config/a.ts';\nexport const b: A = a;\n",
    'calls/b.ts':
      "import { Queue } from 'bullmq';\nimport type { Redis } from 'ioredis';\nimport '../ledger/a.ts';\n",
    'im/b.ts': "export * from 'got/dist/x.js';\nimport fs from 'node:fs';\nimport '@scope/known/deep';\n",
    'redis/b.ts': "import { Redis } from 'ioredis';\nimport type { X } from 'type-fest';\n",
    'pace/b.ts': "import type { C } from 'convict';\ntype P = import('../event/a.ts').A;\n",
    'worker.ts': "import './ops/a.ts';\nawait import('./calls/a.ts');\nexport { a } from './intake/a.ts';\n",
    'index.ts': "export * from './producer/a.ts';\nexport type { A } from './config/a.ts';\n",
    'cli.ts': "import './cli/a.ts';\nimport './worker.ts';\nawait import(`#simulator`);\n",
  });
  expect(said).toEqual(['22 modules, 21 imports, rooms in order']);
  expect(code).toBe(0);
});

test('every offence is found, at its line', () => {
  const { code, said } = check({
    ...rooms,
    'config/b.ts': "// a comment\nimport '../event/a.ts';\n",
    'event/b.ts': "const s = 'é';\nimport type { A } from '../im/a.ts';\n",
    'im/b.ts': "export * from '../redis/a.ts';\n",
    'pace/b.ts': "export type { A } from '../calls/a.ts';\n",
    'ledger/b.ts': "const late = () =>\n  import('../intake/a.ts');\n",
    'calls/b.ts': "type A = import('../delivery/a.ts').A;\n",
    'intake/b.ts': "import { Queue } from 'bullmq';\nimport type { Job } from 'bullmq/dist/x';\n",
    'delivery/b.ts': "import { Redis } from 'ioredis';\nimport { type Redis as R } from 'ioredis';\n",
    'tasks/b.ts': "import got from 'got';\nimport type { Got } from 'got';\n",
    'ops/b.ts':
      "import '../worker.ts';\nimport '../cli/a.ts';\nimport '#simulator';\nimport '../../simulator/a.ts';\n",
    'worker.ts': "import './index.ts';\n",
    'index.ts': "import './producer/a.ts';\nimport './im/a.ts';\nimport './worker.ts';\n",
    'cli/b.ts':
      "import './gone.ts';\nimport './a';\nimport './a.js';\nimport '../cli';\nimport '../../package.json';\n",
    'cli/c.ts':
      "import 'nowhere';\nimport 'type-fest';\nimport '#inner';\nimport('./' + x);\nrequire('lost');\n",
    'attic/a.ts': "import '../config/a.ts';\n",
    'stray.ts': 'export {};\n',
    'tasks/c.ts': 'export const = ;\n',
  });
  const computed = 'imports a computed name, which cannot be resolved.';
  const noFile = 'which cannot be resolved to a file (extensions are written out).';
  const unlisted = (name: string): string => `package.json does not list ${name} in dependencies.`;
  const first =
    'config, lifecycle, event, tracing, proxy, im, redis, producer, database, relay, hold, ledger, pace, calls, intake, delivery';
  const everyRoom = `${first}, logging, tasks, ops, notices, http-intake, console, doctor, worker, worker.ts, index.ts, outbox.ts, cli`;
  expect(said.slice(0, 1)).toEqual([`src/attic/a.ts:1: belongs to no room; rooms are ${everyRoom}.`]);
  expect(said.filter((line) => !line.startsWith('src/attic') && !line.startsWith('src/tasks/c.ts'))).toEqual([
    'src/calls/b.ts:1: calls may not import delivery, which stands below it.',
    `src/cli/b.ts:1: imports './gone.ts', ${noFile}`,
    `src/cli/b.ts:2: imports './a', ${noFile}`,
    `src/cli/b.ts:3: imports './a.js', ${noFile}`,
    `src/cli/b.ts:4: imports '../cli', ${noFile}`,
    "src/cli/b.ts:5: imports '../../package.json', which lies outside src/.",
    `src/cli/c.ts:1: imports 'nowhere', which cannot be resolved: ${unlisted('nowhere')}`,
    `src/cli/c.ts:2: imports 'type-fest', which cannot be resolved: ${unlisted('type-fest')}`,
    `src/cli/c.ts:3: imports '#inner', which cannot be resolved: ${unlisted('#inner')}`,
    `src/cli/c.ts:4: ${computed}`,
    `src/cli/c.ts:5: imports 'lost', which cannot be resolved: ${unlisted('lost')}`,
    'src/config/b.ts:2: config may not import event, which stands below it.',
    "src/delivery/b.ts:1: only redis imports 'ioredis' (elsewhere only `import type`).",
    "src/delivery/b.ts:2: only redis imports 'ioredis' (elsewhere only `import type`).",
    'src/event/b.ts:2: event may not import im, which stands below it.',
    'src/im/b.ts:1: im may not import redis, which stands below it.',
    'src/index.ts:2: index.ts may import only config, event, redis, producer, but this is of im.',
    'src/index.ts:3: index.ts may import only config, event, redis, producer, but this is of worker.ts.',
    "src/intake/b.ts:1: only calls imports 'bullmq'.",
    "src/intake/b.ts:2: only calls imports 'bullmq'.",
    'src/ledger/b.ts:2: ledger may not import intake, which stands below it.',
    'src/ops/b.ts:1: ops may not import worker.ts, which stands below it.',
    'src/ops/b.ts:2: ops may not import cli, which stands below it.',
    'src/ops/b.ts:3: only cli imports the simulator, but this is ops.',
    "src/ops/b.ts:4: imports '../../simulator/a.ts', which lies outside src/.",
    'src/pace/b.ts:1: pace may not import calls, which stands below it.',
    `src/stray.ts:1: belongs to no room; rooms are ${everyRoom}.`,
    "src/tasks/b.ts:1: only im imports 'got'.",
    "src/tasks/b.ts:2: only im imports 'got'.",
    'src/worker.ts:1: worker.ts may not import index.ts, which stands below it.',
  ]);
  expect(said.filter((line) => line.startsWith('src/tasks/c.ts'))).toEqual([
    expect.stringContaining('src/tasks/c.ts:1: cannot be parsed: '),
  ]);
  expect(code).toBe(1);
});

test('the simulator imports itself, Node and listed packages, and nothing of src/', () => {
  const src = { 'config/a.ts': "import 'node:fs';\n" };
  const fine = { 'a.ts': "import './b/b.ts';\nimport 'node:http';\n", 'b/b.ts': "import '@scope/known';\n" };
  expect(check(src, fine).said).toEqual(['3 modules, 4 imports, rooms in order']);
  const { code, said } = check(src, {
    'a.ts': "import '../src/config/a.ts';\nimport 'ioredis';\nimport 'nowhere';\nimport '#simulator';\n",
  });
  expect(said).toEqual([
    "simulator/a.ts:1: imports '../src/config/a.ts', which lies outside simulator/.",
    "simulator/a.ts:2: only redis imports 'ioredis' (elsewhere only `import type`).",
    "simulator/a.ts:3: imports 'nowhere', which cannot be resolved: package.json does not list nowhere in dependencies.",
    'simulator/a.ts:4: only cli imports the simulator, but this is simulator.',
  ]);
  expect(code).toBe(1);
});

test('comments, strings and members are no imports', () => {
  const { code, said } = check({
    'config/a.ts': [
      "// import '../event/a.ts'",
      "/* import '../event/a.ts' */",
      'const s = "import(\'../event/a.ts\')";',
      "const t = `import '../event/a.ts'`;",
      "x.import('../event/a.ts'); x.require('../event/a.ts');",
      "import 'pino';",
    ].join('\n'),
  });
  expect(said).toEqual(['2 modules, 2 imports, rooms in order']);
  expect(code).toBe(0);
});

test('finding nothing to check is a failure', () => {
  expect(check({})).toEqual({ code: 1, said: [`${folder}/src: holds no modules, so nothing was checked.`] });
  expect(check({ 'config/notes.md': 'import x' }).code).toBe(1);
  expect(check({ 'config/a.ts': 'export {};' })).toEqual({
    code: 1,
    said: [`${folder}/src: holds modules but no import was found in them.`],
  });
  rmSync(join(folder, 'simulator'), { recursive: true });
  expect(check({ 'config/a.ts': "import 'node:fs';" }, {})).toEqual({
    code: 1,
    said: [`${folder}/simulator: holds no modules, so nothing was checked.`],
  });
});
