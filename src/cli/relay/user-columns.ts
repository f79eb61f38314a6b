import type { Command } from 'commander';
import { matching } from '../../config/formats.ts';
import type { UserColumns } from '../../relay/table-sql.ts';
import { optionOf } from '../option.ts';

/** The options that say which columns of a table hold what, for every verb that reads a table of users. */
export interface UserColumnFlags {
  readonly idColumn?: string;
  readonly nickColumn?: string;
  readonly faceUrlColumn?: string;
}

const NAME = optionOf(matching('the name of a column', /^[^\p{Cc}]{1,64}$/u));

export function addUserColumns(command: Command): Command {
  return command
    .option('--id-column <name>', 'the column of the user ID (default: id)', NAME)
    .option('--nick-column <name>', 'the column of the nick (default: none)', NAME)
    .option('--face-url-column <name>', "the column of the picture's URL (default: none)", NAME);
}

export function userColumns(table: string, flags: UserColumnFlags): UserColumns {
  return { table, id: flags.idColumn ?? 'id', nick: flags.nickColumn, faceUrl: flags.faceUrlColumn };
}
