import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { configCommand } from '../../../src/cli/config.ts';
import { explain } from '../../../src/cli/fail.ts';

/**
 * Runs `imsync [global] config [args]` in this process, with nothing but `env` of ours in the environment.
 */
function run(
  args: readonly string[],
  env: Record<string, string>,
): { out: string; err: string; code: unknown } {
  const before = process.env;
  const said = { out: '', err: '' };
  const command = configCommand().configureOutput({
    writeOut: (text) => {
      said.out += text;
    },
  });
  const program = new Command('imsync').option('--config <file>').exitOverride().addCommand(command);
  try {
    process.env = env;
    program.parse([...args], { from: 'user' });
    return { ...said, code: 0 };
  } catch (error) {
    const { lines, exitCode } = explain(error);
    return { ...said, err: lines.join('\n'), code: exitCode };
  } finally {
    process.env = before;
  }
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'imsync-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('prints an aligned table', () => {
  const { out, err, code } = run(['config'], { IMSYNC_SDK_SECRET_KEY: 'geheim' });
  expect([err, code]).toEqual(['', 0]);
  const lines = out.trimEnd().split('\n');
  const column = lines[0]?.indexOf('FROM') ?? 0;
  for (const line of lines) expect(line.slice(column - 2, column)).toBe('  ');
  const key = lines.find((line) => line.startsWith('credentials.secretKey '));
  expect(key).toMatch(/ IMSYNC_SDK_SECRET_KEY +\(set\) +environment IMSYNC_SDK_SECRET_KEY$/);
  expect(out).not.toContain('geheim');
});

test('prints JSON, and takes the file of --config before or after the verb', () => {
  const file = join(folder, 'extra.json');
  writeFileSync(file, '{"batch":{"maxSize":7}}');
  const { out } = run(['--config', file, 'config', '--json'], {});
  const rows: { path: string; value: string; origin: string }[] = JSON.parse(out);
  expect(rows.find(({ path }) => path === 'batch.maxSize')).toMatchObject({
    value: '7',
    origin: `file ${file}`,
  });
});

test('exits with 2 and has one line per problem', () => {
  const { out, err, code } = run(['config'], { IMSYNC_OPS_PORT: 'x', IMSYNC_COLOUR: 'red' });
  expect([out, code]).toEqual(['', 2]);
  expect(err).toBe(
    'IMSYNC_OPS_PORT is "x"; it must be a whole number from 0 to 65535.\n' +
      'IMSYNC_COLOUR is not a variable of imsync. docs/configuration.md lists all of them.',
  );
});
