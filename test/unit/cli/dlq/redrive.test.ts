import { redriveCommand } from '../../../../src/cli/dlq/redrive.ts';

it.each([
  ['--all'],
  ['--user', 'ann'],
  ['--reason', 'invalid'],
  ['--older-than', '1h'],
  ['--dry-run'],
  ['--force'],
  ['--file', 'x'],
  ['--stop-at-failures', '0.5'],
])('--mended-id refuses %s, and sends nothing', async (...more) => {
  const run = redriveCommand().parseAsync(['1-0', '--mended-id', 'alice', ...more], { from: 'user' });
  await expect(run).rejects.toThrow('--mended-id takes one event ID');
});
