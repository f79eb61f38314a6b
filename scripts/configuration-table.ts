import { shown } from '../src/config/mask.ts';
import { type PlacedSetting, settings } from '../src/config/schema.ts';

/** Makes the table of docs/configuration.md, without a final line break. */
export function markdownTable(): string {
  const rows = [...settings.map(row), environmentRow];
  return ['| variable | default | meaning |', '|---|---|---|', ...rows.map(line)].join('\n');
}

const environmentRow = [
  '`IMSYNC_ENV`',
  '`NODE_ENV`',
  'Which file of `config/` is read after `default.json`: letters, digits, _ and -.',
];

function row(setting: PlacedSetting): string[] {
  const variable = setting.env === '' ? `\`${setting.path}\` (in a file only)` : `\`${setting.env}\``;
  return [variable, defaultOf(setting), setting.doc + rangeOf(setting)];
}

/** The allowed values, unless the meaning names every word. */
function rangeOf({ doc, reader: { range, words = [] } }: PlacedSetting): string {
  const told = words.length > 0 && words.every((word) => doc.includes(`\`${word}\``));
  return range === undefined || told ? '' : ` (${range})`;
}

function defaultOf({ default: value, defaultText }: PlacedSetting): string {
  if (defaultText !== undefined) return defaultText;
  const text = shown(undefined, value);
  return text === '(not set)' ? '' : `\`${text}\``;
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
