import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

test('files for deployments name the version of the package', () => {
  const named = readdirSync(join(root, 'deploy'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(yaml|service)$/.test(name))
    .sort()
    .flatMap((name) =>
      [
        ...readFileSync(join(root, 'deploy', name), 'utf8').matchAll(
          /(?:im-account-sync[:-]|newTag: )(\d+\.\d+\.\d+)/g,
        ),
      ].map(([, found]) => `${name}: ${found}`),
    );
  expect(named).toEqual([
    `imsync.service: ${version}`,
    `kustomize/base/deployment.yaml: ${version}`,
    `kustomize/overlays/production/kustomization.yaml: ${version}`,
  ]);
  expect(readFileSync(join(root, 'CHANGELOG.md'), 'utf8')).toContain(`\n## ${version} - `);
});

const withSystemd = existsSync('/usr/bin/systemd-analyze') ? test : test.skip;

withSystemd('the systemd unit exposes little: 2.5 of 10 at most', async () => {
  const unit = join(root, 'deploy/imsync.service');
  // Ends with 1 above the threshold, which is counted in tenths.
  const { stdout } = await run('/usr/bin/systemd-analyze', [
    'security',
    '--offline=true',
    '--threshold=25',
    unit,
  ]);
  expect(stdout).toMatch(/Overall exposure level for imsync\.service: [012]\.\d/);
});
