import { Command } from 'commander';
import { openCallQueues } from '../calls/bullmq/queues.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { listSuspects, type Suspect } from '../ledger/open-calls.ts';
import { readStatus, type Status } from '../ops/status.ts';
import { quotasOf } from '../pace/quotas.ts';
import { withRedis } from './with-redis.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description(
      'show where all events are (waiting, in calls, imported, dead-lettered), the hold and the workers',
    )
    .option('--json', 'print one JSON object')
    .action(async (options: { json?: boolean }, command: Command) => {
      const [status, suspects] = await withRedis(command, async ({ config, redis, keys }) => {
        const quotas = quotasOf(config);
        const commands = Object.keys(quotas) as ImportCommand[];
        const queues = openCallQueues(redis, keys, commands, () => undefined);
        try {
          return [
            await readStatus(redis, keys, queues, config.app.sdkAppId, quotas),
            await listSuspects(redis, keys, SUSPECTS_SHOWN),
          ] as const;
        } finally {
          await queues.close();
        }
      });
      const all = { ...status, suspects: { ...status.suspects, users: suspects } };
      process.stdout.write(options.json ? `${JSON.stringify(all)}\n` : statusText(status, suspects));
    });
}

const SUSPECTS_SHOWN = 10;

/** The status as text for a person. */
export function statusText(status: Status, suspects: readonly Suspect[] = []): string {
  const { intake, totals, deadLetters, hold, workers } = status;
  const age = (ms: number | null): string => (ms === null ? '' : `, the oldest for ${seconds(ms)}`);
  const lines = [
    `app          ${status.sdkAppId}`,
    `state        ${state(status)}`,
    `waiting      ${intake.waiting}${age(intake.oldestAgeMs)}`,
    `parked       ${intake.parked} (events whose user is in a call)`,
    ...Object.entries(status.calls).map(
      ([command, c]) =>
        `${command}: ${c.users} users in calls (${c.waiting} waiting, ${c.active} active, ${c.delayed} to be retried); ` +
        `${c.startedLastSecond} calls in the last second, ${c.rate.toFixed(1)} allowed`,
    ),
    ...suspectLines(status, suspects),
    `accepted     ${totals.accepted}`,
    `imported     ${totals.imported}`,
    `superseded   ${totals.superseded} (by a newer event of the user)`,
    `dead letters ${deadLetters.total}${age(deadLetters.oldestAgeMs)}${counts(deadLetters.byReason)}`,
    ...(status.redis.memory === 'ample'
      ? []
      : [
          `memory       Redis is ${Math.floor((status.redis.memoryUsedRatio ?? 0) * 100)} % full: raise maxmemory, or find what fills it`,
        ]),
    ...(totals.forgotten > 0 ? [`forgotten    ${totals.forgotten} (erased by user forget)`] : []),
    `workers      ${workers.length}${workers.length === 0 ? ' (start one: imsync worker)' : ''}`,
  ];
  for (const { id, intake: url } of workers) {
    if (url !== undefined) lines.push(`HTTP intake  ${url} (of ${id})`);
  }
  if (hold !== null) {
    lines.splice(
      2,
      0,
      `             ${hold.errorCode} ${hold.errorInfo}; next probe ${new Date(hold.nextProbeAt).toISOString()}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** Users whose calls fail while the calls of others succeed. */
function suspectLines({ suspects: { calls } }: Status, suspects: readonly Suspect[]): string[] {
  if (calls === 0) return [];
  const shown = suspects.map(({ userId, failures, errorCode, httpStatus, errorInfo, hasAccount, since }) => {
    const answer = errorCode === 0 ? `HTTP ${httpStatus || 'none'}` : String(errorCode);
    const account = hasAccount ? '; the account exists, but its profile is refused' : '';
    return `             ${JSON.stringify(userId)} failed ${failures} times since ${new Date(since).toISOString()}: ${answer} ${errorInfo}${account}`;
  });
  return [`suspects     ${calls} calls fail while others succeed; each is retried alone`, ...shown];
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
