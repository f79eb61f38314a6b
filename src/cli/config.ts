import { Command } from 'commander';
import { type MaskedSetting, maskedView } from '../config/mask.ts';
import { loadForCommand } from './context.ts';

/** `imsync config` prints every setting without secrets. */
export function configCommand(): Command {
  return new Command('config')
    .description('print the configuration: every setting, its value and where it comes from')
    .option('--json', 'print one JSON list of {path, variable, value, origin, doc}')
    .action((options: { json?: boolean }, command: Command) => {
      const view = maskedView(loadForCommand(command));
      const text = options.json === true ? `${JSON.stringify(view, null, 2)}\n` : alignedTable(view);
      command.configureOutput().writeOut?.(text);
    });
}

/** One line per setting below a header, in columns of equal width, two blanks apart. */
function alignedTable(view: readonly MaskedSetting[]): string {
  const rows = [['SETTING', 'VARIABLE', 'VALUE', 'FROM']];
  for (const { path, variable, value, origin } of view) rows.push([path, variable || '-', value, origin]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}
