// Writes the documents that are made from the code: `npm run docs`.
import { readFileSync, writeFileSync } from 'node:fs';
import { answersMarkdown } from './answer-table.ts';
import { markdownTable } from './configuration-table.ts';

writeFileSync(new URL('../docs/answers.md', import.meta.url), answersMarkdown());
process.stdout.write('docs/answers.md written\n');

const file = new URL('../README.md', import.meta.url);
const readme = readFileSync(file, 'utf8');
const marks = /(<!-- config:start -->\n)[\s\S]*?(<!-- config:end -->)/;
if (!marks.test(readme)) throw new Error('README.md has lost the marks config:start and config:end');
writeFileSync(
  file,
  readme.replace(marks, (_all, start, end) => `${start}\n${markdownTable()}\n\n${end}`),
);
process.stdout.write('the configuration table of README.md written\n');
