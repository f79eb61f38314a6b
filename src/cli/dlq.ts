import { Command } from 'commander';
import { listDeadLetters, type StoredLetter } from '../ledger/dead-letters.ts';
import { withRedis } from './with-redis.ts';

export function dlqCommand(): Command {
  const dlq = new Command('dlq').description(
    'dead letters: events that ended without an account, or without their profile',
  );
  dlq
    .command('list')
    .description('list the unresolved dead letters, oldest first')
    .option('--json', 'print a JSON object a line')
    .action(async (options: { json?: boolean }, command: Command) => {
      await withRedis(command, async ({ redis, keys }) => {
        let count = 0;
        for await (const letter of listDeadLetters(redis, keys)) {
          process.stdout.write(options.json ? `${JSON.stringify(letter)}\n` : letterLine(letter));
          count++;
        }
        if (count === 0 && !options.json) process.stdout.write('no dead letters\n');
      });
    });
  return dlq;
}

function letterLine(letter: StoredLetter): string {
  const since = new Date(letter.deadSince).toISOString();
  const code = letter.errorCode === 0 ? '' : ` ${letter.errorCode}`;
  return `${since}  ${letter.eventId}  ${JSON.stringify(letter.userId)}  ${letter.reason}${code}  ${letter.errorInfo}\n`;
}
