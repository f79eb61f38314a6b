import { Command } from 'commander';
import { requireForRedis } from '../config/requirements.ts';
import type { UserInput } from '../event/fields.ts';
import { InvalidUserError } from '../event/invalid-user.ts';
import { NotAcceptedError, UserCreatedProducer } from '../producer/producer.ts';
import { isDatabaseWrong } from '../redis/database.ts';
import { redisSettings } from '../redis/settings.ts';
import { loadForCommand, readTextFile } from './context.ts';
import { CliError, EXIT } from './fail.ts';

const HELP = `
Prints the event ID after Redis has stored the event.

Example:
  imsync push --user-id alice --nick Alice --face-url https://example.com/a.png`;

export function pushCommand(): Command {
  return (
    new Command('push')
      .description('push one user-created event')
      .requiredOption('--user-id <id>', 'user ID, 1 to 32 bytes of printable ASCII')
      .option('--nick <nick>', 'nickname, up to 500 bytes')
      .option('--face-url <url>', 'URL of the picture, up to 500 bytes')
      .option('--type <type>', '0 ordinary; 1 robot, with IMSYNC_API=legacy only', '0')
      .addHelpText('after', HELP)
      // The validation reads the options as they were typed, because it has the error texts.
      .action(async (user: UserInput, command: Command) => {
        const { config } = loadForCommand(command);
        requireForRedis(config);
        const producer = new UserCreatedProducer({
          sdkAppId: config.app.sdkAppId,
          adminId: config.app.adminId,
          redis: redisSettings(config, readTextFile),
          api: config.api.form,
          allowOddIds: config.allowOddIds,
        });
        try {
          process.stdout.write(`${await producer.add(user)}\n`);
        } catch (error) {
          if (error instanceof InvalidUserError) throw new CliError(EXIT.usage, error.problems.join('\n'));
          if (error instanceof NotAcceptedError)
            throw new CliError(isDatabaseWrong(error.message) ? EXIT.usage : EXIT.outOfReach, error.message);
          throw error;
        } finally {
          await producer.close();
        }
      })
  );
}
