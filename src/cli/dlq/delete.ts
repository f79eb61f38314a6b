import { Command } from 'commander';
import { type DeletionCounts, deleteMeant, deletionText } from '../../tasks/delete-letters.ts';
import { addAsOption, noteAct } from '../activity.ts';
import { withRedis } from '../context.ts';
import { CliError, EXIT } from '../fail.ts';
import { counted } from '../format.ts';
import { isConfirmed } from '../terminal.ts';
import {
  addEventId,
  addFilterOptions,
  FILTER_HELP,
  type FilterFlags,
  filterOf,
  isFiltered,
  isNarrowed,
} from './filter.ts';

interface DeleteFlags extends FilterFlags {
  readonly all?: boolean;
  readonly yes?: boolean;
  readonly as?: string;
}

const HELP = `${FILTER_HELP}

Select letters by event ID or with a filter, or take all. Their events still count as dead-lettered. A letter that is
being redriven is kept: its call decides how it ends. A deletion cannot be undone; imsync dlq export makes a copy first.

Examples:
  imsync dlq delete 1743700123000-0
  imsync dlq delete --reason invalid --older-than 30d
  imsync dlq delete --state resolved
  imsync dlq delete --all --yes`;

export function deleteCommand(): Command {
  const command = new Command('delete')
    .description('delete letters')
    .argument('[event-id...]', 'letters by event ID', addEventId)
    .option('--all', 'delete every letter in the state; asks for confirmation')
    .option('--yes', 'do not ask for confirmation')
    .addHelpText('after', HELP);
  return addFilterOptions(addAsOption(command), true).action(
    async (eventIds: readonly string[], flags: DeleteFlags, self: Command) => {
      checkUsage(eventIds, flags);
      const otherwise = '. Nothing was deleted.';
      if (flags.all && !flags.yes && !(await isConfirmed(questionOf(flags), 'delete --all', otherwise))) {
        process.stdout.write('nothing was deleted\n');
        return;
      }
      const counts = await withRedis(self, async (app) => {
        const meant = eventIds.length > 0 ? { eventIds } : { filter: filterOf(flags) };
        const done = await deleteMeant(app, meant);
        if (done.deleted > 0) await noteAct(app.redis, app.keys, 'delete', flags.as, deletionText(done));
        return done;
      });
      process.stdout.write(resultText(counts));
      if (eventIds.length > 0 && counts.deleted < eventIds.length) process.exitCode = EXIT.failed;
    },
  );
}

function checkUsage(eventIds: readonly string[], flags: DeleteFlags): void {
  const narrowed = isNarrowed(flags);
  if (eventIds.length > 0 && (narrowed || flags.all || flags.state || flags.limit))
    throw new CliError(EXIT.usage, 'Give event IDs or a filter, not both. Nothing was deleted.');
  if (eventIds.length === 0 && !narrowed && !flags.all)
    throw new CliError(
      EXIT.usage,
      'Say which letters to delete: event IDs, a filter (--code, --reason, --user, --older-than, --newer-than, --state resolved), or --all.',
    );
}

function questionOf(flags: DeleteFlags): string {
  const matching = isFiltered(flags) ? ' that match the filter' : '';
  return `Delete all letters${matching} (state: ${flags.state ?? 'dead'})? This cannot be undone.`;
}

function resultText({ deleted, gone, redriving, changed }: DeletionCounts): string {
  const lines = [`${counted(deleted, 'letter')} deleted`];
  if (redriving > 0)
    lines.push(`${counted(redriving, 'letter')} kept: being redriven; the call decides how each ends`);
  if (changed > 0)
    lines.push(`${counted(changed, 'letter')} kept: changed in the meantime; look at them again`);
  if (gone > 0) lines.push(`${counted(gone, 'letter')} not found`);
  return `${lines.join('\n')}\n`;
}
