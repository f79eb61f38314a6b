import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../../scripts/check-lock.js', import.meta.url));
const project = fileURLToPath(new URL('../../..', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'imsync-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(cwd: string): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { cwd, encoding: 'utf8' });
  return { code: status, said: `${stdout}${stderr}`.trimEnd() };
}

function check(packages: Readonly<Record<string, object>>): { code: number | null; said: string } {
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ lockfileVersion: 3, packages }));
  return run(folder);
}

test('the lock file of this project is complete', () => {
  const { code, said } = run(project);
  expect(said).toMatch(/^\d+ locked packages, every optional one has its entry$/);
  expect(code).toBe(0);
});

test('an optional package may stand beside, above, or under the one that wants it', () => {
  const { code } = check({
    '': { optionalDependencies: { top: '1' } },
    'node_modules/top': {},
    'node_modules/a': { optionalDependencies: { top: '1', 'a-linux': '1' } },
    'node_modules/a/node_modules/a-linux': { optionalDependencies: { top: '1' } },
    'node_modules/@scope/b': { optionalDependencies: { '@scope/b-darwin': '1' } },
    'node_modules/@scope/b-darwin': {},
  });
  expect(code).toBe(0);
});

test('one without an entry is named, with who wants it', () => {
  const { code, said } = check({
    '': { optionalDependencies: { top: '1' } },
    'node_modules/a': { optionalDependencies: { 'a-linux': '1', 'a-darwin': '1' } },
    'node_modules/a-linux': {},
    // Out of reach: it belongs to another package.
    'node_modules/b/node_modules/a-darwin': {},
  });
  expect(code).toBe(1);
  expect(said.split('\n')).toEqual([
    'package-lock.json has no entry for top, wanted by this package',
    'package-lock.json has no entry for a-darwin, wanted by node_modules/a',
  ]);
});

test('a lock file without packages, or none at all, is a failure', () => {
  expect(check({ '': {} }).code).not.toBe(0);
  rmSync(join(folder, 'package-lock.json'));
  expect(run(folder).code).not.toBe(0);
});
