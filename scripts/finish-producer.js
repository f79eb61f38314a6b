/**
 * What a backend imports is built twice: as ES modules with the rest (dist/), and as CommonJS (dist/cjs/),
 * since Node 20.18 cannot `require` an ES module. Says so beside the CommonJS build, and puts its
 * declarations beside the ES modules as well: they are the same texts, read as the nearest package.json says.
 */
import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const cjs = join('dist', 'cjs');
const declarations = readdirSync(cjs, { recursive: true, encoding: 'utf8' }).filter((path) =>
  path.endsWith('.d.ts'),
);
if (!declarations.includes('index.d.ts'))
  throw new Error(`${cjs} holds no declarations: build it with tsc -p tsconfig.cjs.json first`);
for (const path of declarations) cpSync(join(cjs, path), join('dist', path));
writeFileSync(join(cjs, 'package.json'), '{ "type": "commonjs" }\n');
