import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/**
 * docs/reference is what TypeDoc makes of the exports. TypeDoc has packages of its own (scripts/api-docs), which `npm run docs`
 * and `.ci/run` install; without them this is skipped.
 */
const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const typedoc = join(root, 'scripts/api-docs/node_modules/typedoc/bin/typedoc');
const testHere = existsSync(typedoc) ? test : test.skip;

testHere(
  'docs/reference is what the exports say today',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'imsync-reference-'));
    try {
      const options = join(root, 'scripts/api-docs/typedoc.json');
      await run(process.execPath, [typedoc, '--options', options, '--out', folder], { cwd: root });
      expect(await pagesIn(folder)).toEqual(await pagesIn(join(root, 'docs/reference')));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  120_000,
);

test('every export has an example', async () => {
  const pages = await pagesIn(join(root, 'docs/reference'));
  const without = [...pages]
    .filter(([name, text]) => name !== 'api.md' && !text.includes('## Example'))
    .map(([name]) => name);
  expect(pages.size).toBeGreaterThan(5);
  expect(without).toEqual([]);
});

async function pagesIn(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.md')).sort();
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const)),
  );
}
