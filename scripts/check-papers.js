// Checks what no linter of Markdown knows: links between documents, headings of two languages, and how hard README.md reads.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flesch } from 'flesch';
import GithubSlugger from 'github-slugger';
import { syllable } from 'syllable';

const root = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..'));
const FOLDERS = ['docs', 'bench', 'examples', 'deploy', 'simulator', 'console', '.github'];
/** Documents in Chinese and what they translate. */
const TRANSLATIONS = [
  ['README.zh-CN.md', 'README.md'],
  ...['produce.md', 'configuration.md', 'runbook.md', 'console.md', 'outbox.md'].map((name) => [
    `docs/zh-CN/${name}`,
    `docs/${name}`,
  ]),
];
/** README.md must read at least so easily: 60 is plain English, 50 is fairly difficult (Flesch). */
const LEAST_READING_EASE = 55;
const MOST_README_LINES = 200;

/** @type {string[]} */
const problems = [];
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...FOLDERS.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  ),
];
const texts = new Map(pages.map((page) => [page, readFileSync(join(root, page), 'utf8')]));

/** @param {string} text */
const withoutCode = (text) => text.replace(/^```[\s\S]*?^```/gm, (code) => code.replace(/[^\n]/g, ''));
/** @param {string} text @returns {{ level: number, title: string }[]} */
const headingsOf = (text) =>
  [...withoutCode(text).matchAll(/^(#+) (.+)$/gm)].map(([, marks = '', title = '']) => ({
    level: marks.length,
    title,
  }));
/** @param {string} page */
function anchorsOf(page) {
  const slugger = new GithubSlugger();
  return new Set(
    headingsOf(texts.get(page) ?? '').map(({ title }) => slugger.slug(title.replace(/[`*]/g, ''))),
  );
}

for (const [page, text] of texts) {
  withoutCode(text)
    .split('\n')
    .forEach((line, i) => {
      for (const [, target = ''] of line.replace(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)) {
        const problem = problemOf(page, target);
        if (problem !== undefined) problems.push(`${page}:${i + 1}: ${target}: ${problem}`);
      }
    });
}

/** @param {string} page @param {string} target */
function problemOf(page, target) {
  if (/^(https?|mailto):/.test(target)) return undefined;
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : relative(root, resolve(root, dirname(page), decodeURIComponent(path)));
  if (!existsSync(join(root, file))) return 'there is no such file';
  if (anchor === undefined || statSync(join(root, file)).isDirectory()) return undefined;
  return anchorsOf(file).has(anchor) ? undefined : 'the page has no such heading';
}

for (const [translated = '', original = ''] of TRANSLATIONS) {
  /** @param {string} page */
  const levels = (page) =>
    headingsOf(texts.get(page) ?? '')
      .map(({ level }) => level)
      .join(' ');
  if (!texts.has(translated)) problems.push(`${translated} is missing`);
  else if (levels(translated) !== levels(original))
    problems.push(`${translated}: its headings are not those of ${original}, one for one`);
}

const readme = texts.get('README.md') ?? '';
const lines = readme.split('\n').length - 1;
if (lines > MOST_README_LINES)
  problems.push(`README.md has ${lines} lines; ${MOST_README_LINES} are the most`);
const ease = readingEase(readme);
if (ease < LEAST_READING_EASE)
  problems.push(`README.md reads too hard: ${ease.toFixed(0)} (Flesch), at least ${LEAST_READING_EASE}`);

/** Flesch's reading ease of the prose: sentences of paragraphs and lists, without code, tables and headings. @param {string} text */
function readingEase(text) {
  const prose = withoutCode(text)
    .split('\n')
    .filter((line) => !/^(\||#|<|!)/.test(line))
    .join('\n')
    .replace(/`[^`]*`/g, 'name')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1');
  const sentences = prose.split(/(?<=[.:?!])\s+|\n\n|\n- |\n\d\. /).filter((one) => /[a-z]/i.test(one));
  const words = prose.match(/[A-Za-z][A-Za-z'-]*/g) ?? [];
  return flesch({
    sentence: sentences.length,
    word: words.length,
    syllable: words.reduce((sum, word) => sum + syllable(word), 0),
  });
}

for (const problem of problems) process.stderr.write(`${problem}\n`);
if (problems.length > 0) process.exit(1);
process.stdout.write(
  `${pages.length} documents: links and translations hold; README.md reads at ${ease.toFixed(0)}\n`,
);
