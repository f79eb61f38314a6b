// Writes the documents that are made from the code. Needs a build: `npm run docs` does both.
import { writeFileSync } from 'node:fs';

const { answersMarkdown } = await import(new URL('../dist/im/answer-table.js', import.meta.url).href);
writeFileSync(new URL('../docs/answers.md', import.meta.url), answersMarkdown());
process.stdout.write('docs/answers.md written\n');
