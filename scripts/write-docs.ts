// Writes the documents that are made from the code: `npm run docs`.
import { readFileSync, writeFileSync } from 'node:fs';
import { answersMarkdown } from './answer-table.ts';
import { markdownTable } from './configuration-table.ts';
import { dashboard } from './dashboard.ts';
import { metricsMarkdown } from './metrics-page.ts';

writeFileSync(new URL('../docs/answers.md', import.meta.url), answersMarkdown());
process.stdout.write('docs/answers.md written\n');

const file = new URL('../docs/configuration.md', import.meta.url);
const page = readFileSync(file, 'utf8');
const marks = /(<!-- config:start -->\n)[\s\S]*?(<!-- config:end -->)/;
if (!marks.test(page))
  throw new Error('docs/configuration.md has lost the marks config:start and config:end');
writeFileSync(
  file,
  page.replace(marks, (_all, start, end) => `${start}\n${markdownTable()}\n\n${end}`),
);
process.stdout.write('the table of docs/configuration.md written\n');

writeFileSync(new URL('../docs/metrics.md', import.meta.url), metricsMarkdown());
process.stdout.write('docs/metrics.md written\n');

writeFileSync(new URL('../deploy/grafana/imsync.json', import.meta.url), dashboard());
process.stdout.write('deploy/grafana/imsync.json written\n');
