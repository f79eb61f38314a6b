import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { settings } from '../../../src/config/schema.ts';

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
    `kustomize/components/reconcile/deployment.yaml: ${version}`,
    `kustomize/overlays/outbox/kustomization.yaml: ${version}`,
    `kustomize/overlays/production/kustomization.yaml: ${version}`,
  ]);
  expect(readFileSync(join(root, 'CHANGELOG.md'), 'utf8')).toContain(`\n## ${version} - `);
});

const unitText = readFileSync(join(root, 'deploy/imsync.service'), 'utf8');

test('what the unit says of its installation works where /etc/imsync is missing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'imsync-unit-'));
  const commands = [...unitText.matchAll(/^# {3}((?:install|echo) .*)$/gm)].map(
    ([, command = '']) => command,
  );
  expect(commands).toHaveLength(2);
  writeFileSync(join(folder, 'the-key'), 'k');
  const script = commands.join('\n').replaceAll('/etc/', `${folder}/etc/`);
  execFileSync('sh', ['-ec', script], { cwd: folder });
  const key = join(folder, 'etc/imsync/sdk-secret-key');
  expect([readFileSync(key, 'utf8'), statSync(key).mode & 0o777]).toEqual(['k', 0o600]);
  rmSync(folder, { recursive: true });
});

test('the unit gives each secret by a credential, and names settings that there are', () => {
  const credentials = [...unitText.matchAll(/^#?LoadCredential=([\w-]+):\/etc\/imsync\/(.+)$/gm)];
  const variables = [...unitText.matchAll(/^#?Environment=(IMSYNC_\w+_FILE)=%d\/(.+)$/gm)];
  expect(credentials.map(([, name, file]) => [name, file])).toEqual(
    variables.map(([, , name]) => [name, name]),
  );
  const known = settings.map(({ env }) => env);
  const named = variables.map(([, variable = '']) => variable);
  expect(named.filter((variable) => !known.includes(variable))).toEqual([]);
  expect(named).toEqual(expect.arrayContaining(['IMSYNC_NOTIFY_URLS_FILE', 'IMSYNC_INTAKE_TOKENS_FILE']));
});

test('deploy/README.md makes the units of a relay and of reconcile from that of a worker', () => {
  const folder = mkdtempSync(join(tmpdir(), 'imsync-unit-'));
  const commands = readFileSync(join(root, 'deploy/README.md'), 'utf8').match(/^sed .*$/gm) ?? [];
  writeFileSync(join(folder, 'imsync.service'), unitText);
  execFileSync('sh', ['-ec', commands.join('\n')], { cwd: folder });
  const changed = (name: string): string[] =>
    readFileSync(join(folder, name), 'utf8')
      .split('\n')
      .filter((line) => !unitText.split('\n').includes(line));
  expect(changed('imsync-relay.service')).toEqual([
    'Description=im-account-sync relay',
    expect.stringMatching(/^ExecStart=.*\/dist\/cli\.js relay$/),
    'Environment=IMSYNC_OPS_PORT=9465',
  ]);
  const reconcile = 'reconcile --table users --every 24h --at 03:00';
  expect(changed('imsync-reconcile.service')).toEqual([
    `Description=im-account-sync ${reconcile}`,
    expect.stringMatching(new RegExp(`^ExecStart=.*/dist/cli\\.js ${reconcile}$`)),
  ]);
  rmSync(folder, { recursive: true });
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
