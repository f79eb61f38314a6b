import { existsSync, readFileSync } from 'node:fs';
import { settings } from '../../src/config/schema.ts';
import { KNOWN_FIELDS } from '../../src/event/event.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { imsyncRun } from '../support/process.ts';
import { readReadme } from '../support/readme.ts';

const english = readReadme('README.md');
const chinese = readReadme('README.zh-CN.md');
const languages = [
  ['English', english],
  ['Chinese', chinese],
] as const;

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

test.each(languages)(
  'every command in the %s README exists in the CLI with its options',
  async (_, readme) => {
    expect(readme.commands.length).toBeGreaterThan(15);
    const top = await helpOf([]);
    for (const command of readme.commands) {
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

test.each(languages)('the %s README names exactly the variables of the schema', (_, readme) => {
  expect(readme.variables).toEqual([...variables].sort());
  expect([...readme.variableRows.keys()]).toEqual(variables);
});

test('both tables show the same defaults', () => {
  const defaultsOf = ({ variableRows }: typeof english) =>
    [...variableRows].map(([name, cell]) => [name, /^`.*`$/.test(cell) || cell === '' ? cell : 'in words']);
  expect(defaultsOf(chinese)).toEqual(defaultsOf(english));
});

test.each(languages)('every npm script and file in the %s README exists', (_, readme) => {
  const root = new URL('../../', import.meta.url);
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  expect(Object.keys(scripts)).toEqual(expect.arrayContaining([...readme.npmScripts]));
  expect(readme.npmScripts).toEqual(expect.arrayContaining(['demo', 'test', 'build']));
  expect(readme.files.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
});

test.each(languages)('producers in the %s README write to the stream with its fields', (_, readme) => {
  const streams = readme.text.match(/\{imsync:\d+\}:[a-z-]+/g) ?? [];
  expect(new Set(streams)).toEqual(new Set([keysOf(1400000000).stream]));
  expect(streams.length).toBe(5);
  const [, fields = ''] = /\n(\| `userId`[\s\S]*?)\n\n/.exec(readme.text) ?? [];
  const named = fields.split('\n').flatMap((row) => row.split('|')[1]?.match(/\w+/g) ?? []);
  expect(KNOWN_FIELDS).toEqual(expect.arrayContaining(named));
});

test('both READMEs name the same commands, variables, scripts and files and show the same code', () => {
  const { commands, variables: named, npmScripts, files } = english;
  expect(chinese).toMatchObject({ commands, variables: named, npmScripts });
  const inBoth = (paths: readonly string[]) => paths.filter((path) => !path.startsWith('README'));
  expect(inBoth(chinese.files)).toEqual(inBoth(files));
  const code = (blocks: readonly string[]) => blocks.filter((block) => !block.includes('──'));
  expect(code(chinese.blocks)).toEqual(code(english.blocks));
});
