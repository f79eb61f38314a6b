import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

/**
 * The project's Redis scripts as they are sent: the prelude and the files that a call of `loadScript` names, as one text.
 * Read from the modules of `folder` (src/ or a build), so that it holds for every layout.
 * @param {URL} folder ends with a slash
 * @returns {{ name: string, lua: string, sha: string }[]} `name`: of the last file, without `.lua`
 */
export function scriptTexts(folder) {
  const found = [];
  const prelude = new URL('redis/prelude.lua', folder).href;
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(ts|js)$/.test(file) || file.endsWith('.d.ts')) continue;
    const module = new URL(file, folder);
    for (const [, list = ''] of readFileSync(module, 'utf8').matchAll(
      /= loadScript\(\s*import\.meta\.url,([^)]*)\)/g,
    )) {
      const parts = [...list.matchAll(/'([^']+\.lua)'|"([^"]+\.lua)"/g)].map(([, a, b]) => a ?? b ?? '');
      if (parts.length === 0) continue;
      // An earlier version named the prelude in each call.
      const files = new Set([prelude, ...parts.map((part) => new URL(part, module).href)]);
      const lua = [...files].map((url) => readFileSync(new URL(url), 'utf8')).join('\n');
      const name = /** @type {string} */ (parts.at(-1)).replace(/^.*\//, '').replace(/\.lua$/, '');
      found.push({ name, lua, sha: createHash('sha1').update(lua).digest('hex') });
    }
  }
  if (found.length === 0) throw new Error(`no module below ${folder} loads a script`);
  return found;
}
