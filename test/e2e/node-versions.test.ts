import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/**
 * The demo on each Node that `engines` allows: Redis, simulator, two workers, faults of every kind, and its own audit at the end.
 * TEST_NODES: programs of other versions, as PATH lists folders. `.ci/run` installs them.
 */
const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const others = (process.env.TEST_NODES ?? '').split(delimiter).filter((path) => path !== '');
const { engines } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

test('each major version that is supported is run, or this is not the machine for it', async () => {
  const majors = String(engines.node)
    .split('||')
    .map((range) => /\d+/.exec(range)?.[0]);
  const found = await Promise.all(
    [process.execPath, ...others].map(async (node) => (await run(node, ['--version'])).stdout.trim()),
  );
  if (others.length === 0) return expect(found).toEqual([process.version]);
  expect(majors.filter((major) => !found.some((version) => version.startsWith(`v${major}.`)))).toEqual([]);
});

test.each([process.execPath, ...others].map((node) => [node]))(
  'the demo ends well on %s',
  async (node) => {
    const { stdout } = await run(node, ['dist/cli.js', 'demo', '--signups', '3000'], { cwd: root });
    expect(stdout).toContain('✓ imported + superseded + dead letters = 3,000, as many as signed up');
    expect(stdout).not.toContain('✗');
  },
  180_000,
);
