import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { en } from '../../../console/src/i18n/en.ts';
import { fill, namesIn } from '../../../console/src/i18n/message.ts';
import { zh } from '../../../console/src/i18n/zh.ts';
import { zhMeanings } from '../../../console/src/i18n/zh-meanings.ts';
import { VERDICT_TABLES } from '../../../src/im/verdict-rows.ts';
import { deadReasons, letterStates } from '../../../src/ledger/letters/dead-letters.ts';
import { HOLD_ADVICE } from '../../../src/logging/hold-log.ts';

const sources = fileURLToPath(new URL('../../../console/src', import.meta.url));

test('every language has the same keys, in the same order', () => {
  expect(Object.keys(zh)).toEqual(Object.keys(en));
});

test('a message takes the same parameters in every language', () => {
  for (const [key, english] of Object.entries(en)) {
    const inChinese = namesIn(zh[key as keyof typeof en]);
    // Chinese needs no `{n|letter|letters}`; a value that is shown is shown in both.
    const shown = [...english.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
    expect({ key, names: inChinese }).toEqual({ key, names: [...new Set(shown)].sort() });
  }
});

test('no message is empty, and none is left in English', () => {
  const same = Object.entries(zh).filter(([key, text]) => text === en[key as keyof typeof en]);
  expect(same.map(([key]) => key)).toEqual(['chart.p99', 'workers.id']);
  expect(Object.values({ ...en, ...zh }).filter((text) => text.trim() === '')).toEqual([]);
});

test('every key is used, and every key that is used is there', () => {
  const text = readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name) && !/i18n.(en|zh|zh-meanings)\.ts$/.test(name))
    .map((name) => readFileSync(join(sources, name), 'utf8'))
    .join('\n');
  const prefixes = [...text.matchAll(/named\(\s*'(\w+\.)'/g)].map(([, prefix = '']) => prefix);
  const unused = Object.keys(en).filter(
    (key) => !text.includes(`'${key}'`) && !prefixes.some((prefix) => key.startsWith(prefix)),
  );
  expect(unused).toEqual([]);
});

test('all kinds of hold, reasons and states of letters have their words', () => {
  const wanted = [
    ...Object.keys(HOLD_ADVICE).flatMap((kind) => [`hold.${kind}`, `holdAdvice.${kind}`]),
    ...deadReasons.flatMap((reason) => [`reason.${reason}`, `reasonAdvice.${reason}`]),
    ...letterStates.map((state) => `letterState.${state}`),
  ];
  expect(wanted.filter((key) => !Object.hasOwn(en, key))).toEqual([]);
});

test('what each code means is said in Chinese as well', () => {
  const meanings = Object.values(VERDICT_TABLES).flatMap((rows) => rows.map(({ meaning }) => meaning));
  expect(Object.keys(zhMeanings).sort()).toEqual([...new Set(meanings)].sort());
});

test('parameters are filled, numbers as the language writes them, and words by their number', () => {
  expect(fill('{n} {n|letter|letters} of {who}', { n: 1, who: 'alice' }, 'en-GB')).toBe('1 letter of alice');
  expect(fill('{n} {n|letter|letters}', { n: 12_345 }, 'en-GB')).toBe('12,345 letters');
  expect(fill('{rate}/s', { rate: 2.6789 }, 'en-GB')).toBe('2.7/s');
  expect(fill('{unknown} stays', {}, 'en-GB')).toBe('{unknown} stays');
});
