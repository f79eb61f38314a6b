import { Command } from 'commander';
import type { StoredLetter } from '../../ledger/letters/dead-letters.ts';
import { type Deletion, deleteLetters } from '../../ledger/letters/delete-letters.ts';
import { listDeadLetters, readLetters } from '../../ledger/letters/letter-store.ts';
import { isConfirmed } from '../confirm.ts';
import { CliError, EXIT } from '../fail.ts';
import { withRedis } from '../with-redis.ts';
import {
  addEventId,
  addFilterOptions,
  FILTER_HELP,
  type FilterFlags,
  filterOf,
  isNarrowed,
} from './filter.ts';

interface DeleteFlags extends FilterFlags {
  readonly all?: boolean;
  readonly yes?: boolean;
}

const AT_A_TIME = 100;

const HELP = `${FILTER_HELP}
Names letters by event ID, by filter, or all of them. Their events stay counted as dead-lettered. A letter that is
being redriven is left: its call decides about it. There is no way back; dlq export keeps a copy.

Examples:
  imsync dlq delete 1743700123000-0
  imsync dlq delete --reason invalid --older-than 30d
  imsync dlq delete --state resolved
  imsync dlq delete --all --yes`;

export function deleteCommand(): Command {
  const command = new Command('delete')
    .description('forget letters')
    .argument('[event-id...]', 'letters by event ID', addEventId)
    .option('--all', 'every letter of the state; asks first')
    .option('--yes', 'do not ask')
    .addHelpText('after', HELP);
  return addFilterOptions(command, true).action(
    async (eventIds: readonly string[], flags: DeleteFlags, self: Command) => {
      checkUsage(eventIds, flags);
      await withRedis(self, async ({ redis, keys }) => {
        if (flags.all && !flags.yes && !(await isConfirmed(questionOf(flags)))) {
          process.stdout.write('nothing was deleted\n');
          return;
        }
        const tally: Record<Deletion, number> = { deleted: 0, gone: 0, redriving: 0, changed: 0 };
        const remove = async (letters: readonly StoredLetter[]): Promise<void> => {
          for (const word of await deleteLetters(redis, keys, letters)) tally[word]++;
        };
        if (eventIds.length > 0) {
          const found = await readLetters(redis, keys, eventIds);
          tally.gone += eventIds.length - found.length;
          for (let from = 0; from < found.length; from += AT_A_TIME)
            await remove(found.slice(from, from + AT_A_TIME));
        } else {
          let batch: StoredLetter[] = [];
          for await (const letter of listDeadLetters(redis, keys, filterOf(flags))) {
            batch.push(letter);
            if (batch.length < AT_A_TIME) continue;
            await remove(batch);
            batch = [];
          }
          await remove(batch);
        }
        process.stdout.write(tallyText(tally));
        if (eventIds.length > 0 && tally.deleted < eventIds.length) process.exitCode = EXIT.failed;
      });
    },
  );
}

function checkUsage(eventIds: readonly string[], flags: DeleteFlags): void {
  const narrowed = isNarrowed(flags);
  if (eventIds.length > 0 && (narrowed || flags.all || flags.state || flags.limit))
    throw new CliError(EXIT.usage, 'give event IDs or a filter, not both: nothing was deleted');
  if (eventIds.length === 0 && !narrowed && !flags.all)
    throw new CliError(
      EXIT.usage,
      'say which letters to delete: event IDs, a filter (--code, --reason, --user, --older-than, --newer-than, --state resolved), or --all',
    );
  if (flags.all && !flags.yes && !process.stdin.isTTY)
    throw new CliError(
      EXIT.usage,
      'delete --all asks first, and there is no terminal to ask on: add --yes if you mean it. Nothing was deleted',
    );
}

function questionOf(flags: DeleteFlags): string {
  const { state, limit, ...narrowing } = filterOf(flags);
  const which =
    Object.keys(narrowing).length > 0 || limit !== undefined ? 'that match the filter' : 'there are';
  return `Delete all letters ${which} (state: ${state})? There is no way back.`;
}

function tallyText({ deleted, gone, redriving, changed }: Record<Deletion, number>): string {
  const lines = [`${deleted} letters deleted`];
  if (redriving > 0) lines.push(`left: ${redriving} are being redriven; their calls decide about them`);
  if (gone > 0) lines.push(`${gone} were not there`);
  if (changed > 0) lines.push(`left: ${changed} changed meanwhile; look again`);
  return `${lines.join('\n')}\n`;
}
