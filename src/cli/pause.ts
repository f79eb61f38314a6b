import { Command } from 'commander';
import { readTotals } from '../ledger/totals.ts';
import { createHoldState } from '../pace/hold/hold-state.ts';
import { withRedis } from './with-redis.ts';

const MAX_REASON_CHARS = 200;

export function pauseCommand(): Command {
  return new Command('pause')
    .description('stop all calls of the fleet until `imsync resume`; events are still accepted')
    .option('--reason <text>', 'reason, shown by imsync status', '')
    .addHelpText(
      'after',
      '\nThe pause survives restarts and deploys. It is independent of a hold: ending one does not end the other.\nCalls that are on the wire are finished.\n\nExample:\n  imsync pause --reason "provider maintenance until 14:00"',
    )
    .action(async ({ reason }: { reason: string }, command: Command) => {
      await withRedis(command, async ({ redis, keys }) => {
        const hold = createHoldState(redis, keys);
        const { nowMs } = await readTotals(redis, keys);
        const result = await hold.pause(reason.slice(0, MAX_REASON_CHARS), nowMs);
        if (result === 'paused') process.stdout.write('paused: no calls are made until imsync resume\n');
        else {
          const since = (await hold.read()).pause;
          const when = since === null ? '' : ` since ${new Date(since.since).toISOString()}`;
          process.stdout.write(`already paused${when}${since?.reason ? `: ${since.reason}` : ''}\n`);
        }
      });
    });
}

export function resumeCommand(): Command {
  return new Command('resume')
    .description('let the fleet make calls again after `imsync pause`')
    .action(async (_options: unknown, command: Command) => {
      await withRedis(command, async ({ redis, keys }) => {
        const hold = createHoldState(redis, keys);
        const result = await hold.resume();
        const held = (await hold.read()).hold;
        process.stdout.write(result === 'resumed' ? 'resumed\n' : 'was not paused\n');
        if (held !== null) {
          process.stdout.write(`calls are still held (${held.kind}, ${held.errorCode}): see imsync status\n`);
        }
      });
    });
}
