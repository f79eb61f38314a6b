import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keysOf } from '../../../src/redis/keys.ts';
import { type Access, findAccesses } from './key-accesses.ts';

/**
 * Who touches which Redis structure stands in docs/architecture.md, and this holds it against the code: an access that is
 * not listed, and one that is listed and gone, are problems.
 */
const root = fileURLToPath(new URL('../../../', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const document = read('docs/architecture.md');
const { accesses, problems } = findAccesses(root);

interface Told {
  readonly writers: ReadonlySet<string>;
  readonly readers: ReadonlySet<string>;
}

/** Rows of the tables below a heading, without the backticks around their first cells. */
function rowsBelow(heading: string): string[][] {
  const [, rest = ''] = document.split(`\n${heading}\n`);
  const [own = ''] = rest.split('\n## ');
  return own
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

const indexScripts = /^`src\/[\s\S]*?which are \*index scripts\* below\.$/m.exec(document)?.[0] ?? '';

function filesIn(cell: string): Set<string> {
  const text = cell.includes('index scripts') ? `${cell} ${indexScripts}` : cell;
  return new Set([...text.matchAll(/`(src\/[\w/.-]+\.(?:ts|lua))`/g)].map(([, file = '']) => file));
}

const table = new Map(
  rowsBelow('## Keys in Redis').map(([, name = '', , written = '', readBy = '']): [string, Told] => {
    const writers = filesIn(written);
    const readers = readBy.includes('the same') ? [...writers, ...filesIn(readBy)] : filesIn(readBy);
    return [name.replaceAll('`', ''), { writers, readers: new Set(readers) }];
  }),
);

const roomOf = (file: string): string => file.split('/')[1] ?? '';
const told = (key: string): Told => table.get(key) ?? { writers: new Set(), readers: new Set() };

/** A reader may be listed as a writer, since what writes mostly reads. A key that is handed on is its room's affair. */
function isListed({ key, file, kind }: Access): boolean {
  const { writers, readers } = told(key);
  if (kind === 'write') return writers.has(file);
  if (writers.has(file) || readers.has(file)) return true;
  return kind === 'passed' && [...writers, ...readers].some((other) => roomOf(other) === roomOf(file));
}

const unique = (sentences: readonly string[]): string[] => [...new Set(sentences)].sort();

test('every access to a Redis structure can be followed', () => {
  expect(unique(problems)).toEqual([]);
  expect(accesses.length).toBeGreaterThan(200);
});

test('docs/architecture.md lists every script and module that reads or writes a key', () => {
  const missing = accesses
    .filter((access) => !isListed(access))
    .map(({ key, file, kind }) => `${key}: ${file} is not listed (${kind})`);
  expect(unique(missing)).toEqual([]);
});

test('docs/architecture.md lists no script and no module that does not touch the key', () => {
  const stale = [...table].flatMap(([key, { writers, readers }]) => {
    const touches = (file: string, kinds: readonly string[]): boolean =>
      isPart(file) ||
      accesses.some(
        (one) =>
          one.key === key &&
          ((one.file === file && kinds.includes(one.kind)) ||
            (one.kind === 'passed' && roomOf(one.file) === roomOf(file))),
      );
    return [
      ...[...writers]
        .filter((file) => !touches(file, ['write']))
        .map((file) => `${key}: ${file} does not write it`),
      ...[...readers]
        .filter((file) => !touches(file, ['read', 'write']))
        .map((file) => `${key}: ${file} does not read it`),
    ];
  });
  expect(unique(stale)).toEqual([]);
});

/** A Lua file that is joined to scripts, whose accesses are theirs. */
function isPart(file: string): boolean {
  return file.endsWith('.lua') && !accesses.some((access) => access.file === file);
}

describe('whose structure it is', () => {
  const codeIn = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
  const rows = rowsBelow('## Whose structure it is');
  const ownerOf = new Map(
    rows.flatMap(([room, list]) => codeIn(list).map((key) => [key, codeIn(room)[0] ?? ''] as const)),
  );
  const [, list = ''] = /^const rooms = \[(.*?)^\];/ms.exec(read('scripts/check-rooms.js')) ?? [];
  const order = [...list.matchAll(/'([\w.-]+)'/g)].map(([, room = '']) => room);

  test('each key has one owner, a room of scripts/check-rooms.js', () => {
    const keys = Object.keys(keysOf(7));
    expect([...ownerOf.keys()].sort()).toEqual(keys.sort());
    expect([...ownerOf.values()].filter((room) => !order.includes(room))).toEqual([]);
    const told = rows.flatMap(([, list]) => codeIn(list));
    expect(told.length).toBe(keys.length);
  });

  test('no room touches a key of a room below it', () => {
    const upward = accesses.filter(
      ({ key, file }) => order.indexOf(roomOf(file)) < order.indexOf(ownerOf.get(key) ?? ''),
    );
    expect(unique(upward.map(({ key, file }) => `${key}: ${file}`))).toEqual([]);
  });
});

describe('the search for accesses', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'key-accesses-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function find(files: Readonly<Record<string, string>>): ReturnType<typeof findAccesses> {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, 'src', name)), { recursive: true });
      writeFileSync(join(folder, 'src', name), text);
    }
    return findAccesses(folder);
  }

  test('counts what a script reaches in its parts, and nothing else of them', () => {
    const found = find({
      'a/one.ts':
        "const s = loadScript(import.meta.url, '../b/part.lua', 'one.lua');\nrunScript(redis, s, [keys.hold], []);",
      'a/one.lua': "nameKeys('books', 'stream')\nuse()\nredis.call('HSET', keys.books, 'a', 1)\n",
      'b/part.lua': [
        "local function inner()\n  redis.call('XLEN', keys.stream)\nend",
        'local function use()\n  inner()\nend',
        "local function other()\n  redis.call('DEL', keys.open)\nend\n",
      ].join('\n'),
    });
    expect(found.problems).toEqual([]);
    expect(found.accesses).toEqual([
      { key: 'books', kind: 'write', file: 'src/a/one.lua' },
      { key: 'stream', kind: 'read', file: 'src/a/one.lua' },
    ]);
  });

  test('knows what a module does with a key, or that it hands it on', () => {
    const found = find({
      'a/one.ts': [
        'await redis.zrem(\n  keys.open, id);',
        "redis.pipeline([['hgetall', keys.deadPrefix + id]]);",
        'start(options.keys.hold);',
      ].join('\n'),
    });
    expect(found.accesses).toEqual([
      { key: 'open', file: 'src/a/one.ts', kind: 'write' },
      { key: 'deadPrefix', file: 'src/a/one.ts', kind: 'read' },
      { key: 'hold', file: 'src/a/one.ts', kind: 'passed' },
    ]);
  });

  test('reports what it cannot follow', () => {
    const { problems } = find({
      'a/one.ts':
        "const s = loadScript(import.meta.url, 'one.lua');\naskScript(redis, s, keys);\nconst { hold } = keys;",
      'a/one.lua': "nameKeys('bokks')\nredis.call('HSET', some, 1)\nredis.call('SORT', keys.books)\n",
      'a/two.lua': '',
    });
    expect(problems).toEqual([
      'src/a/one.lua: hset of some, which is no name of a key',
      'src/a/one.lua: is sort a read or a write?',
      'src/a/one.lua: askScript knows no key bokks',
      'src/a/one.ts takes keys apart: write keys.NAME where one is used',
      'no module loads src/a/two.lua',
    ]);
  });
});
