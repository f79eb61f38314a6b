import { Command } from 'commander';
import { deleteCommand } from './delete.ts';
import { exportCommand, listCommand, redrivesCommand, showCommand, summaryCommand } from './read.ts';
import { redriveCommand } from './redrive.ts';

const HELP = `
Without a verb it prints the summary. Letters stay until somebody deletes them. A letter is resolved automatically when
its event, or a newer event of its user, is imported.

Reasons:
  invalid    the event is not valid; it was never sent
  rejected   the API refuses the account
  profile    the account was imported; the API refused its nick or picture
  expired    the event was retried until it was too old
  unknown    the API gave an answer that this version does not know

Examples:
  imsync dlq
  imsync dlq list --reason rejected
  imsync dlq redrive --dry-run
  imsync dlq export --output letters.ndjson`;

export function dlqCommand(): Command {
  const dlq = new Command('dlq')
    .description('dead letters: events that ended without an account, or without their profile')
    .addHelpText('after', HELP);
  dlq.addCommand(summaryCommand(), { isDefault: true });
  for (const command of [
    listCommand(),
    showCommand(),
    redriveCommand(),
    redrivesCommand(),
    deleteCommand(),
    exportCommand(),
  ])
    dlq.addCommand(command);
  return dlq;
}
