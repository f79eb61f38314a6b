import { Command } from 'commander';
import { deleteCommand } from './delete.ts';
import { exportCommand } from './export.ts';
import { listCommand, showCommand, summaryCommand } from './list.ts';
import { redriveCommand } from './redrive.ts';
import { redrivesCommand } from './redrives.ts';

const HELP = `
Without a verb: summary. Letters stay until somebody deletes them. One is resolved by itself when its event, or a
newer one of its user, is imported.

Reasons:
  invalid    the event does not hold up; it was never sent
  rejected   the API refuses the account
  profile    the account is imported; its nick or picture was refused
  expired    retried until it was too old
  unknown    an answer that no table knows

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
