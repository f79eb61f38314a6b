import { Command } from 'commander';
import { forgetCommand } from './forget.ts';
import { showUserCommand } from './show.ts';

export function userCommand(): Command {
  const user = new Command('user')
    .description('one user: where they are, and erasing them')
    .addHelpText('after', '\nExamples:\n  imsync user show alice\n  imsync user forget alice --dry-run');
  for (const command of [showUserCommand(), forgetCommand()]) user.addCommand(command);
  return user;
}
