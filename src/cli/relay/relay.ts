import { Command } from 'commander';
import { requireForRelay } from '../../config/requirements.ts';
import { databaseSettings } from '../../database/settings.ts';
import { createStandardLog } from '../../logging/log.ts';
import type { Source } from '../../relay/open-outbox.ts';
import { startRelayProcess } from '../../worker/relay-process.ts';
import { loadForCommand, readTextFile } from '../context.ts';
import { CliError, EXIT } from '../fail.ts';
import { numberFrom } from '../option.ts';
import { runService } from '../service.ts';
import { relayInitCommand } from './init.ts';
import { addUserColumns, type UserColumnFlags, userColumns } from './user-columns.ts';

const HELP = `
The app writes a row into the outbox in the transaction that writes the user. The relay adds it to Redis, and deletes it
when Redis has it. So a signup that is committed cannot get lost, whatever dies. Make the tables: imsync relay init.

Run any number of relays: one of them works, the others stand by. Rows of a user keep their order.

--from-table follows a table of users in place of an outbox, by a column that every change sets to the time. It begins
with the changes from now on (imsync import --query takes the older users). A transaction that stays open for longer than
--overlap can be missed, and rows without a time are not seen. The column and the ID need an index together.

Examples:
  imsync relay init --apply
  IMSYNC_DATABASE_URL_FILE=/run/secrets/database imsync relay
  imsync relay --from-table users --id-column id --nick-column name --updated-column updated_at`;

interface RelayFlags extends UserColumnFlags {
  readonly fromTable?: string;
  readonly updatedColumn?: string;
  readonly overlap: number;
  readonly fromStart?: boolean;
}

export function relayCommand(): Command {
  const command = new Command('relay')
    .description('bring users from the database to Redis, so that no signup gets lost before')
    .option('--from-table <table>', 'follow a table of users in place of an outbox');
  addUserColumns(command)
    .option('--updated-column <name>', 'with --from-table: the column that every change sets to the time')
    .option('--overlap <seconds>', 'with --from-table: read so much again', numberFrom(1, 86_400), 60)
    .option('--from-start', 'with --from-table: begin with the oldest row, if it was not followed before')
    .addHelpText('after', HELP)
    .action(async (flags: RelayFlags, self: Command) => {
      const { config } = loadForCommand(self);
      requireForRelay(config);
      // What is wrong with the address is better said now than by the loop.
      databaseSettings(config, readTextFile);
      const source = sourceOf(flags);
      const version = self.parent?.version() ?? '';
      const { log, droppedLines } = createStandardLog(config.log.level, { pid: process.pid });
      await runService(
        () => startRelayProcess({ config, readFile: readTextFile, version, log, droppedLines, source }),
        { log, shutdownTimeoutMs: config.shutdownTimeoutMs },
      );
    });
  return command.addCommand(relayInitCommand());
}

function sourceOf(flags: RelayFlags): Source {
  const { fromTable, updatedColumn, overlap, fromStart = false } = flags;
  if (fromTable === undefined) {
    if (updatedColumn !== undefined || flags.idColumn !== undefined)
      throw new CliError(EXIT.usage, 'Columns are given, but no table: add --from-table TABLE.');
    return undefined;
  }
  if (updatedColumn === undefined)
    throw new CliError(
      EXIT.usage,
      '--from-table needs --updated-column: the column that every change of a user sets to the time.',
    );
  return { ...userColumns(fromTable, flags), updated: updatedColumn, overlapMs: overlap * 1_000, fromStart };
}
