import { readFileSync } from 'node:fs';
import { markdownTable } from '../../../scripts/configuration-table.ts';
import { settings } from '../../../src/config/schema.ts';

test('the table has a row for every setting and three columns everywhere', () => {
  const lines = markdownTable().split('\n');
  expect(lines).toHaveLength(settings.length + 3);
  for (const line of lines) expect(line.replaceAll('\\|', '').match(/\|/g)).toHaveLength(4);
});

test('rows name the allowed values once', () => {
  const table = markdownTable();
  expect(table).toContain('\n| `IMSYNC_BATCH_MAX_SIZE` | `100` | Users in a call at most. (1 to 100) |\n');
  expect(table).toContain('\n| `IMSYNC_SDK_APP_ID` | must be given | ');
  expect(table).toMatch(/\n\| `IMSYNC_API` \| `current` \| .* `hosted` \(register_account_v1\)\. \|\n/);
  expect(table).toContain('\n| `verdicts` (in a file only) |  | ');
});

test('docs/configuration.md holds the table that is made from the schema', () => {
  const page = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
  const [, table] = /<!-- config:start -->\n([\s\S]*?)\n<!-- config:end -->/.exec(page) ?? [];
  expect(table?.trim()).toBe(markdownTable());
});
