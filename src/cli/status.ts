import { Command } from 'commander';
import { openCallQueues } from '../calls/queues.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { quotasOf } from '../pace/quotas.ts';
import { readStatus, type Status } from '../server/status.ts';
import { withRedis } from './with-redis.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description('where every event is: waiting, in calls, imported, dead-lettered; hold and workers')
    .option('--json', 'print one JSON object')
    .action(async (options: { json?: boolean }, command: Command) => {
      const status = await withRedis(command, async ({ config, redis, keys }) => {
        const quotas = quotasOf(config);
        const commands = Object.keys(quotas) as ImportCommand[];
        const queues = openCallQueues(redis, keys, commands, () => undefined);
        try {
          return await readStatus(redis, keys, queues, config.app.sdkAppId, quotas);
        } finally {
          await queues.close();
        }
      });
      process.stdout.write(options.json ? `${JSON.stringify(status)}\n` : statusText(status));
    });
}

/** The status for a person. */
export function statusText(status: Status): string {
  const { intake, totals, deadLetters, hold, workers } = status;
  const age = (ms: number | null): string => (ms === null ? '' : `, the oldest for ${seconds(ms)}`);
  const lines = [
    `app          ${status.sdkAppId}`,
    `state        ${state(status)}`,
    `waiting      ${intake.waiting}${age(intake.oldestAgeMs)}`,
    `parked       ${intake.parked} (their user is in a call)`,
    ...Object.entries(status.calls).map(
      ([command, c]) =>
        `${command}: ${c.users} users in calls (${c.waiting} waiting, ${c.active} active, ${c.delayed} to be retried); ` +
        `${c.startedLastSecond} calls in the last second, ${c.rate.toFixed(1)} allowed`,
    ),
    `accepted     ${totals.accepted}`,
    `imported     ${totals.imported}`,
    `superseded   ${totals.superseded} (by a newer event of the user)`,
    `dead letters ${deadLetters.total}${age(deadLetters.oldestAgeMs)}${counts(deadLetters.byReason)}`,
    ...(status.redis.memory === 'ample'
      ? []
      : [
          `memory       Redis is ${Math.floor((status.redis.memoryUsedRatio ?? 0) * 100)} % full: raise its maxmemory, or find what fills it`,
        ]),
    `workers      ${workers.length}${workers.length === 0 ? ' (start one: imsync worker)' : ''}`,
  ];
  if (hold !== null) {
    lines.splice(
      2,
      0,
      `             ${hold.errorCode} ${hold.errorInfo}; next probe ${new Date(hold.nextProbeAt).toISOString()}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function state({ hold, paused }: Status): string {
  const words = [
    ...(paused ? ['paused by an operator'] : []),
    ...(hold === null ? [] : [`held (${hold.kind}) since ${new Date(hold.since).toISOString()}`]),
  ];
  return words.length === 0 ? 'running' : words.join(', ');
}

function counts(byReason: Readonly<Record<string, number>>): string {
  const parts = Object.entries(byReason).map(([reason, n]) => `${n} ${reason}`);
  return parts.length === 0 ? '' : `: ${parts.join(', ')}`;
}

function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}
