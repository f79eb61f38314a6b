import { readdirSync, readFileSync } from 'node:fs';
import { settings } from '../../src/config/schema.ts';
import { KNOWN_FIELDS } from '../../src/event/event.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { type Page, readPage } from '../support/pages.ts';
import { imsyncRun } from '../support/process.ts';

const root = new URL('../../', import.meta.url);
const isPage = (name: string): boolean => name.endsWith('.md');
const inDocs = readdirSync(new URL('docs/', root)).filter(isPage);
const inChinese = readdirSync(new URL('docs/zh-CN/', root)).filter(isPage);
const pages = [
  ...['README.md', 'README.zh-CN.md', 'CONTRIBUTING.md'],
  ...inDocs.map((name) => `docs/${name}`),
  ...inChinese.map((name) => `docs/zh-CN/${name}`),
].map(readPage);
const page = (path: string): Page => pages.find((one) => one.path === path) ?? readPage(path);
/** A page in English, and the same in Chinese. */
const translations = [
  ['README.md', 'README.zh-CN.md'],
  ...inChinese.map((name) => [`docs/${name}`, `docs/zh-CN/${name}`]),
].map(([english = '', chinese = '']) => [english, page(english), page(chinese)] as const);

const variables = [...settings.map(({ env }) => env).filter((env) => env !== ''), 'IMSYNC_ENV'];

const helps = new Map<string, Promise<string>>();

/** Returns the help of a verb, such as ['dlq', 'list']. Fails if there is no such verb. */
function helpOf(verb: readonly string[]): Promise<string> {
  const key = verb.join(' ');
  const known = helps.get(key) ?? help(verb);
  helps.set(key, known);
  return known;
}

async function help(verb: readonly string[]): Promise<string> {
  const { code, stdout } = await imsyncRun([...verb, '--help']);
  // For an unknown verb the command shows the help of another one.
  expect({ verb, code, usage: stdout.split(/\[|</)[0] }).toEqual({
    verb,
    code: 0,
    usage: `Usage: ${['imsync', ...verb].join(' ')} `,
  });
  return stdout;
}

const isVerbOf = (text: string, word: string): boolean => new RegExp(`^ {2}${word}(?: |$)`, 'm').test(text);

const withCommands = pages.filter(({ commands }) => commands.length > 0);

test('pages that name commands are found', () => {
  expect(withCommands.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['README.md', 'docs/operations.md', 'docs/runbook.md', 'docs/zh-CN/runbook.md']),
  );
});

test.each(withCommands.map((one) => [one.path, one] as const))(
  'every command in %s exists in the CLI with its options',
  async (_, { commands }) => {
    const top = await helpOf([]);
    for (const command of commands) {
      const [verb = '', second = ''] = command.split(/\s+/);
      expect({ command, isVerb: isVerbOf(top, verb) }).toEqual({ command, isVerb: true });
      const own = await helpOf([verb]);
      const path = /^[a-z]+$/.test(second) && /^Commands:/m.test(own) ? [verb, second] : [verb];
      if (path.length === 2)
        expect({ command, isVerb: isVerbOf(own, second) }).toEqual({ command, isVerb: true });
      const text = await helpOf(path);
      for (const [option] of command.matchAll(/(?<=\s)--[a-z-]+/g)) {
        const known = new RegExp(`^ {2}(?:-\\w, )?${option}(?: |$)`, 'm').test(text);
        expect({ command, option, known }).toEqual({ command, option, known: true });
      }
    }
  },
  120_000,
);

test.each(['docs/configuration.md', 'docs/zh-CN/configuration.md'])(
  '%s has a row for each variable of the schema, and no other',
  (path) => expect([...page(path).variableRows.keys()]).toEqual(variables),
);

test('no page names a variable that does not exist', () => {
  const unknown = pages.flatMap(({ path, variables: named }) =>
    named
      // A page may name a group by its beginning. IMSYNC_TEST_…: see CONTRIBUTING.md and docs/reliability.md.
      .filter((name) => !variables.some((known) => known.startsWith(name)) && !name.startsWith('IMSYNC_TEST'))
      .map((name) => `${path}: ${name}`),
  );
  expect(unknown).toEqual([]);
});

test('both configuration tables show the same defaults', () => {
  const defaultsOf = ({ variableRows }: Page) =>
    [...variableRows].map(([name, cell]) => [name, /^`.*`$/.test(cell) || cell === '' ? cell : 'in words']);
  expect(defaultsOf(page('docs/zh-CN/configuration.md'))).toEqual(defaultsOf(page('docs/configuration.md')));
});

test('every npm script that a page names exists', () => {
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  const known = [...Object.keys(scripts), 'ci'];
  const unknown = pages.flatMap(({ path, npmScripts }) =>
    npmScripts.filter((name) => !known.includes(name)).map((name) => `${path}: npm run ${name}`),
  );
  expect(unknown).toEqual([]);
  expect(page('README.md').npmScripts).toEqual(expect.arrayContaining(['demo', 'test', 'build']));
});

test.each(['docs/produce.md', 'docs/zh-CN/produce.md'])(
  'producers in %s write to the stream with its fields',
  (path) => {
    const { text } = page(path);
    const streams = text.match(/\{imsync:\d+\}:[a-z-]+/g) ?? [];
    expect(new Set(streams)).toEqual(new Set([keysOf(1400000000).stream]));
    expect(streams.length).toBe(8);
    const [, fields = ''] = /\n(\| `userId`[\s\S]*?)\n\n/.exec(text) ?? [];
    const named = fields.split('\n').flatMap((row) => row.split('|')[1]?.match(/\w+/g) ?? []);
    expect(named).toContain('replyTo');
    expect(KNOWN_FIELDS).toEqual(expect.arrayContaining(named));
  },
);

test.each(translations)(
  '%s and its translation name the same things and show the same code',
  (_, english, chinese) => {
    const { commands, variables: named, npmScripts, blocks } = english;
    expect(chinese).toMatchObject({ commands, variables: named, npmScripts, blocks });
  },
);
