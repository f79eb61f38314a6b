import { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { shownAddress } from '../../config/database-url.ts';
import { databaseAdvice, reasonOf } from '../../database/database.ts';
import { openDatabase } from '../../database/open-database.ts';
import { databaseSettings } from '../../database/settings.ts';
import {
  rightsStatements,
  type Statement,
  tableStatements,
  triggerStatements,
} from '../../relay/table-sql.ts';
import { loadForCommand, readTextFile } from '../context.ts';
import { CliError, EXIT } from '../fail.ts';
import { addUserColumns, type UserColumnFlags, userColumns } from './user-columns.ts';

interface InitFlags extends UserColumnFlags {
  readonly apply?: boolean;
  readonly notify: boolean;
  readonly trigger?: string;
  readonly mysql?: boolean;
}

const HELP = `
Prints the SQL of the outbox, or runs it with --apply (IMSYNC_DATABASE_URL; the user must be allowed to create tables).
What exists stays as it is, so it may be run twice. The database of IMSYNC_DATABASE_URL decides the dialect.

--trigger adds triggers that fill the outbox from a table of users, so that the app need not be touched.

Examples:
  imsync relay init
  imsync relay init --apply
  imsync relay init --trigger users --nick-column name --face-url-column avatar`;

export function relayInitCommand(): Command {
  const command = new Command('init')
    .description('print or make the tables of the outbox, and say which rights they need')
    .option('--apply', 'run the statements')
    .option('--no-notify', 'PostgreSQL: no trigger that wakes the relay at a commit')
    .option('--trigger <table>', 'fill the outbox from this table of users by triggers')
    .option('--mysql', 'print the statements for MySQL and MariaDB, if no database is configured');
  return addUserColumns(command)
    .addHelpText('after', HELP)
    .action(async (_flags: InitFlags, self: Command) => {
      // The parent has options of the same names, which would take the values.
      const flags = self.optsWithGlobals<InitFlags>();
      const { config } = loadForCommand(self);
      const dialect = dialectOf(config, flags);
      const { table } = config.relay;
      const statements = [
        ...tableStatements(dialect, table, flags.notify),
        ...(flags.trigger === undefined
          ? []
          : triggerStatements(dialect, outboxFor(config, flags.trigger), userColumns(flags.trigger, flags))),
      ];
      const rights = rightsStatements(dialect, table);
      if (flags.apply) await apply(config, statements);
      else process.stdout.write(statements.map(textOf(dialect)).join(''));
      const heading = `-- Rights, with the names of your own users${flags.trigger ? ' (with triggers the app needs its right, too: without it a signup fails)' : ''}:\n`;
      process.stdout.write(
        heading + rights.map((right) => `${flags.apply ? '-- ' : ''}${right};\n`).join(''),
      );
    });
}

function dialectOf(config: Config, flags: InitFlags) {
  const { url, urlFile } = config.database;
  if (url === '' && urlFile === '') return flags.mysql ? 'mysql' : 'postgres';
  return databaseSettings(config, readTextFile).dialect;
}

/** A trigger of MySQL looks for the outbox in the database of its table. */
function outboxFor(config: Config, users: string): string {
  const { table } = config.relay;
  const { url, urlFile } = config.database;
  if (table.includes('.') || !users.includes('.') || url + urlFile === '') return table;
  const { dialect, database } = databaseSettings(config, readTextFile);
  return dialect === 'mysql' ? `${database}.${table}` : table;
}

/** A trigger of MySQL holds `;`, so its client needs another end of a statement. */
function textOf(dialect: string): (statement: Statement) => string {
  return ({ why, sql }) => {
    const comment = why === '' ? '' : `-- ${why}\n`;
    const isBlock = dialect === 'mysql' && sql.includes(';');
    return isBlock ? `${comment}DELIMITER //\n${sql}//\nDELIMITER ;\n\n` : `${comment}${sql};\n\n`;
  };
}

async function apply(config: Config, statements: readonly Statement[]): Promise<void> {
  const settings = databaseSettings(config, readTextFile);
  const failed = (what: string, error: Error): CliError =>
    new CliError(
      what === 'reached' ? EXIT.outOfReach : EXIT.failed,
      `The database ${shownAddress(settings)} ${what === 'reached' ? 'cannot be used' : 'refused'}: ${reasonOf(error)}. ${databaseAdvice(error)}`.trim(),
    );
  const session = await openDatabase(settings).catch((error: Error) => {
    throw failed('reached', error);
  });
  try {
    for (const { sql } of statements)
      await session.query(sql).catch((error: Error) => {
        throw failed('refused', error);
      });
    process.stdout.write(`${statements.length} statements done in ${shownAddress(settings)}.\n`);
  } finally {
    await session.close();
  }
}
