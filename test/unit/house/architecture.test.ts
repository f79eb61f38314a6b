import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keysOf } from '../../../src/redis/keys.ts';

/**
 * The documents for maintainers are compared with the code. Each problem names the line of the document, so that a
 * change that moves a file says what to correct.
 */
const root = fileURLToPath(new URL('../../../', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Line {
  /** `document:number`, as editors open it. */
  readonly at: string;
  readonly text: string;
}

function linesOf(path: string): Line[] {
  return read(path)
    .split('\n')
    .map((text, i) => ({ at: `${path}:${i + 1}`, text }));
}

const architecture = linesOf('docs/architecture.md');
const glossary = linesOf('docs/glossary.md');
const index = linesOf('docs/README.md');

/** The lines below a heading, up to the next one of the same level. */
function section(lines: readonly Line[], heading: string): Line[] {
  const from = lines.findIndex(({ text }) => text === heading);
  if (from < 0) throw new Error(`docs/architecture.md has no heading "${heading}"`);
  const [level = ''] = heading.split(' ');
  const length = lines.slice(from + 1).findIndex(({ text }) => text.startsWith(`${level} `));
  return length < 0 ? lines.slice(from + 1) : lines.slice(from + 1, from + 1 + length);
}

interface Row {
  readonly at: string;
  readonly cells: readonly string[];
}

/** Rows of tables whose first cell is code. */
function rows(lines: readonly Line[]): Row[] {
  return lines.flatMap(({ at, text }) =>
    text.startsWith('| `')
      ? [
          {
            at,
            cells: text
              .split('|')
              .slice(1, -1)
              .map((cell) => cell.trim()),
          },
        ]
      : [],
  );
}

/** Without the backticks around it. */
const code = (cell = ''): string => cell.replaceAll('`', '');

describe('docs/architecture.md', () => {
  test('lists the rooms that scripts/check-rooms.js checks, in their order', () => {
    const [, list = ''] = /^const rooms = \[(.*?)^\];/ms.exec(read('scripts/check-rooms.js')) ?? [];
    const known = [...list.matchAll(/'([\w.-]+)'/g)].map(([, room = '']) => room);
    if (known.length === 0)
      throw new Error('scripts/check-rooms.js has no list `const rooms = [...]` any more');
    const told = rows(section(architecture, '## Rooms')).map(({ at, cells: [room] }) => ({
      at,
      room: code(room),
    }));
    const problems = told.flatMap(({ at, room }, i) => {
      if (!known.includes(room)) return [`${at}: scripts/check-rooms.js knows no room ${room}`];
      const before = told[i - 1];
      const isLate = before !== undefined && known.indexOf(before.room) >= known.indexOf(room);
      return isLate ? [`${at}: ${room} stands above ${before.room} in scripts/check-rooms.js`] : [];
    });
    const missing = known.filter((room) => !told.some((row) => row.room === room));
    expect([...problems, ...missing.map((room) => `section "Rooms" lacks ${room}`)]).toEqual([]);
  });

  test('lists every key of src/redis/keys.ts with its text, and no other', () => {
    const tag = '{imsync:7}:';
    const keys = new Map(
      Object.entries(keysOf(7)).map(([name, key]) => [name, String(key).slice(tag.length)]),
    );
    const told = rows(section(architecture, '## Keys in Redis')).map(({ at, cells }) => ({
      at,
      text: code(cells[0]),
      name: code(cells[1]),
      facts: cells.slice(2),
    }));
    const problems = told.flatMap(({ at, text, name, facts }) => {
      const key = keys.get(name);
      if (key === undefined) return [`${at}: src/redis/keys.ts has no ${name}`];
      const isPrefix = key.endsWith(':') || name.endsWith('Prefix');
      const isRight = isPrefix ? text.startsWith(key) && text !== key : text === key;
      return [
        ...(isRight ? [] : [`${at}: the key of ${name} is ${key}, not ${text}`]),
        ...(facts.length === 3 && facts.every((fact) => fact !== '')
          ? []
          : [`${at}: ${name} lacks type, writer or reader`]),
      ];
    });
    const missing = [...keys.keys()].filter((name) => !told.some((row) => row.name === name));
    const twice = told.filter(({ name }, i) => told.findIndex((row) => row.name === name) !== i);
    expect([
      ...problems,
      ...twice.map(({ at, name }) => `${at}: ${name} is listed twice`),
      ...missing.map((name) => `section "Keys in Redis" lacks ${name}`),
    ]).toEqual([]);
  });

  test('names a file on every arrow of the way of an event', () => {
    const arrows = section(architecture, '## The way of an event').filter(({ text }) => text.includes('-->'));
    expect(arrows.length).toBeGreaterThan(10);
    const bare = arrows.filter(({ text }) => !/\|"[^"]*\bsrc\/[\w/.-]+\.(ts|lua)[^"]*"\|/.test(text));
    expect(bare.map(({ at }) => `${at}: the arrow names no file`)).toEqual([]);
  });
});

test('every file and folder that the documents name exists', () => {
  const named =
    /(?<![\w./-])(?:src|simulator|test|scripts|docs|deploy|bench|config|examples)\/[\w./-]*[\w-]/g;
  const problems = [...architecture, ...glossary, ...index].flatMap(({ at, text }) =>
    [...text.matchAll(named)]
      .map(([path]) => path)
      .filter((path) => !existsSync(join(root, path)))
      .map((path) => `${at}: ${path} does not exist${guess(path)}`),
  );
  expect(problems).toEqual([]);
});

test('every file that the other documents name exists', () => {
  const others = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
  const named =
    /(?<![\w./-])(?:src|simulator|test|scripts|docs|deploy|bench)\/[\w./-]*\.(?:ts|js|lua|c|md|yml|yaml|json)\b/g;
  const problems = ['README.md', 'README.zh-CN.md', ...others.map((name) => `docs/${name}`)].flatMap((path) =>
    linesOf(path).flatMap(({ at, text }) =>
      [...text.matchAll(named)]
        .map(([file]) => file)
        .filter((file) => !existsSync(join(root, file)))
        .map((file) => `${at}: ${file} does not exist${guess(file)}`),
    ),
  );
  expect(problems).toEqual([]);
});

test('every file and folder that simulator/README.md names exists', () => {
  const problems = linesOf('simulator/README.md').flatMap(({ at, text }) =>
    [...text.matchAll(/`([\w/.-]+(?:\.ts|\/))`/g)]
      .map(([, path = '']) => path)
      .filter((path) => ![path, `simulator/${path}`].some((one) => existsSync(join(root, one))))
      .map((path) => `${at}: ${path} does not exist${guess(`simulator/${path}`)}`),
  );
  expect(problems).toEqual([]);
});

/** Where a file of this name stands now, for the one who corrects the document. */
function guess(path: string): string {
  const room = path.split('/')[0] ?? '';
  if (!existsSync(join(root, room))) return '';
  const now = readdirSync(join(root, room), { recursive: true, encoding: 'utf8' }).filter(
    (one) => basename(one) === basename(path),
  );
  return now.length === 0 ? '' : `; a file of this name is ${now.map((one) => `${room}/${one}`).join(', ')}`;
}

test('every link of the documents leads somewhere', () => {
  const problems = [...architecture, ...glossary, ...index].flatMap(({ at, text }) =>
    [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)]
      .map(([, path = '']) => path)
      .filter((path) => !path.includes('://') && !existsSync(join(root, 'docs', path)))
      .map((path) => `${at}: ${path} does not exist`),
  );
  expect(problems).toEqual([]);
});

test('docs/README.md lists every document', () => {
  const documents = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter(
    // The pages of the reference are listed by its first one.
    (path) => path.endsWith('.md') && path !== 'README.md' && !/^reference\/[\w-]+\//.test(path),
  );
  const text = index.map((line) => line.text).join('\n');
  expect(documents.filter((path) => !text.includes(`](${path})`))).toEqual([]);
});

test('the glossary has 25 words at most, each once, in one sentence and with the file where it lives', () => {
  const told = glossary
    .filter(({ text }) => text.startsWith('| ') && !text.startsWith('| word |'))
    .map(({ at, text }) => ({ at, cells: text.split('|').map((cell) => cell.trim()) }));
  const problems = told.flatMap(({ at, cells: [, word = '', meaning = '', where = ''] }, i) => [
    ...(told.findIndex((row) => row.cells[1] === word) === i ? [] : [`${at}: ${word} stands here twice`]),
    ...(/^[^.]+\.$/.test(meaning) ? [] : [`${at}: ${word} is not explained in one sentence`]),
    ...(/^`src\/[\w/.-]+`$/.test(where) ? [] : [`${at}: ${word} lacks its file`]),
  ]);
  expect(problems).toEqual([]);
  expect(told.length).toBeGreaterThan(0);
  expect(told.length).toBeLessThanOrEqual(25);
});
