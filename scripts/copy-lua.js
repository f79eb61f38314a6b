// tsc leaves the Lua scripts behind: each goes to dist/, beside the module that loads it.
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const scripts = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) =>
  path.endsWith('.lua'),
);
if (scripts.length === 0)
  throw new Error('no Lua scripts found below src/: run this from the top of the project');
for (const path of scripts) cpSync(join('src', path), join('dist', path));
