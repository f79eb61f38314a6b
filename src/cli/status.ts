import { Command } from 'commander';
import { CallQueues } from '../calls/bullmq/queues.ts';
import type { Pause } from '../hold/hold-state.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { listSuspects, type Suspect } from '../ledger/open-calls.ts';
import { escaped, printable, printableJson } from '../ops/feed/record.ts';
import { readStatus, type Status } from '../ops/status.ts';
import { quotasOf } from '../pace/budget.ts';
import { operatorName } from '../tasks/activity.ts';
import { pauseFleet, resumeFleet } from '../tasks/pause.ts';
import { addAsOption, noteAct } from './activity.ts';
import { withRedis } from './context.ts';
import { answerText, isoTime, printResult } from './format.ts';

const SUSPECTS_SHOWN = 10;
/** A run of reconcile over a large table takes its time. The alert ImsyncReconcileLate waits as long. */
const RECONCILE_LATE_MS = 6 * 3_600_000;

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
        const queues = new CallQueues(redis, keys, commands, () => undefined);
        try {
          return [
            await readStatus({ redis, keys }, queues, config.app.sdkAppId, quotas),
            await listSuspects({ redis, keys }, SUSPECTS_SHOWN),
          ] as const;
        } finally {
          await queues.close();
        }
      });
      const all = { ...status, suspects: { ...status.suspects, users: suspects } };
      printResult(options.json, all, statusText(status, suspects));
    });
}

function statusText(status: Status, suspects: readonly Suspect[]): string {
  const { intake, totals, deadLetters, hold, workers, redis } = status;
  const lines = [`app          ${status.sdkAppId}`, `state        ${stateText(status)}`];
  if (hold !== null)
    lines.push(
      `             ${hold.errorCode === 0 ? '' : `${hold.errorCode} `}${hold.errorInfo}; next probe ${isoTime(hold.nextProbeAt)}`,
    );
  lines.push(
    `waiting      ${intake.waiting}${ageText(intake.oldestAgeMs)}`,
    `parked       ${intake.parked} (events whose user is in a call)`,
    ...Object.entries(status.calls).map(
      ([command, c]) =>
        `${command}: ${c.users} users in calls (${c.waiting} waiting, ${c.active} active, ${c.delayed} to be retried); ` +
        `${c.startedLastSecond} calls in the last second, ${c.rate.toFixed(1)} allowed`,
    ),
    ...suspectLines(status.suspects.calls, suspects),
    `accepted     ${totals.accepted}`,
    `imported     ${totals.imported}`,
    `superseded   ${totals.superseded} (by a newer event of the user)`,
    `dead letters ${deadLetters.total}${ageText(deadLetters.oldestAgeMs)}${reasonsText(deadLetters.byReason)}`,
  );
  lines.push(...redis.problems.map((problem) => `Redis        ${problem}`));
  if (redis.memory !== 'ample') {
    const percent = Math.floor((redis.memoryUsedRatio ?? 0) * 100);
    lines.push(`memory       Redis is ${percent} % full: raise maxmemory, or find what fills it`);
  }
  if (totals.forgotten > 0) lines.push(`forgotten    ${totals.forgotten} (erased by user forget)`);
  lines.push(`workers      ${workers.length}${workers.length === 0 ? ' (start one: imsync worker)' : ''}`);
  for (const { id, intake: url } of workers)
    if (url !== undefined) lines.push(`HTTP intake  ${url} (of ${id})`);
  lines.push(...relayLines(status), ...reconcileLines(status));
  return `${lines.map(escaped).join('\n')}\n`;
}

/** Nothing where no relay has ever worked. */
function relayLines({ relay }: Status): string[] {
  if (relay === null) return [];
  const { isWorking, waiting, oldestAgeMs, server, relay: name } = relay;
  if (!isWorking)
    return [
      `relay        none works since ${isoTime(relay.lastSeen)}: rows wait in the database. Start one: imsync relay`,
    ];
  const age = waiting === 0 ? '' : ageText(oldestAgeMs);
  return [
    `relay        ${printable(name)} brings rows from ${printable(server)}; ${waiting} wait there${age}`,
    ...setBackLines(relay),
  ];
}

const SET_BACK_SHOWN_MS = 7 * 86_400_000;

function setBackLines({ setBack, lastSeen }: NonNullable<Status['relay']>): string[] {
  if (setBack === undefined || lastSeen - setBack.at > SET_BACK_SHOWN_MS) return [];
  return [
    `             the database went back at ${isoTime(setBack.at)}: ${setBack.rows} numbers of relayed rows are used again (docs/outbox.md)`,
  ];
}

function reconcileLines({ reconcile, reconcileDueAt: dueAt }: Status): string[] {
  const lateBy = dueAt === null ? 0 : Date.now() - dueAt;
  const late =
    lateBy > RECONCILE_LATE_MS && dueAt !== null
      ? [
          `reconcile    a run was due at ${isoTime(dueAt)} and has not ended: look at the log of imsync reconcile --every`,
        ]
      : [];
  if (reconcile === null) return late;
  const { counts, endedAt } = reconcile;
  const added = counts.enqueued > 0 ? `, ${counts.enqueued} of them added` : '';
  return [
    `reconcile    ${counts.rows} users compared until ${isoTime(endedAt)}: ${counts.missing} without an account${added}`,
    ...late,
  ];
}

function stateText({ hold, pause }: Status): string {
  const words = [
    ...(pause === null
      ? []
      : [`paused by ${byText(pause)} since ${isoTime(pause.since)}${reasonText(pause)}`]),
    ...(hold === null ? [] : [`held (${hold.kind}) since ${isoTime(hold.since)}`]),
  ];
  return words.join(', ') || 'running';
}

/** An earlier version did not note who. */
function byText({ by }: Pause): string {
  return by === undefined ? 'an operator' : `an operator, ${by},`;
}

function reasonText({ reason }: Pause): string {
  return reason === '' ? '' : `: ${printableJson(reason)}`;
}

/** Users whose calls fail while the calls of others succeed. */
function suspectLines(calls: number, suspects: readonly Suspect[]): string[] {
  if (calls === 0) return [];
  const shown = suspects.map(({ userId, failures, errorInfo, hasAccount, since, ...answer }) => {
    const account = hasAccount ? '; the account exists, but its profile is refused' : '';
    return `             ${printableJson(userId)} failed ${failures} times since ${isoTime(since)}: ${answerText(answer)} ${errorInfo}${account}`;
  });
  return [`suspects     ${calls} calls fail while others succeed; each is retried alone`, ...shown];
}

function ageText(ms: number | null): string {
  if (ms === null) return '';
  return `, the oldest for ${ms < 10_000 ? (ms / 1_000).toFixed(1) : Math.round(ms / 1_000)} s`;
}

function reasonsText(byReason: Readonly<Record<string, number>>): string {
  const parts = Object.entries(byReason).map(([reason, n]) => `${n} ${reason}`);
  return parts.length === 0 ? '' : `: ${parts.join(', ')}`;
}

export function pauseCommand(): Command {
  const command = new Command('pause')
    .description('stop all calls of the fleet until `imsync resume`; events are still accepted')
    .option('--reason <text>', 'reason, shown by imsync status', '');
  return addAsOption(command)
    .addHelpText(
      'after',
      '\nThe pause survives restarts and deploys. It is independent of a hold: ending one does not end the other.\nCalls that are on the wire are finished.\n\nExample:\n  imsync pause --reason "provider maintenance until 14:00"',
    )
    .action(async ({ reason, as }: { reason: string; as?: string }, self: Command) => {
      await withRedis(self, async ({ redis, keys }) => {
        const { changed, pause } = await pauseFleet({ redis, keys }, reason, operatorName(as));
        if (changed) {
          await noteAct(redis, keys, 'pause', as, pause?.reason ?? '');
          process.stdout.write('paused: no calls are made until imsync resume\n');
          return;
        }
        const when = pause === null ? '' : ` since ${isoTime(pause.since)}`;
        process.stdout.write(`already paused${when}${pause?.reason ? `: ${printable(pause.reason)}` : ''}\n`);
      });
    });
}

export function resumeCommand(): Command {
  const command = new Command('resume').description('let the fleet make calls again after `imsync pause`');
  return addAsOption(command).action(async ({ as }: { as?: string }, self: Command) => {
    await withRedis(self, async ({ redis, keys }) => {
      const { changed, hold } = await resumeFleet({ redis, keys });
      if (changed) await noteAct(redis, keys, 'resume', as, '');
      process.stdout.write(changed ? 'resumed\n' : 'was not paused\n');
      if (hold !== null)
        process.stdout.write(
          `calls are still held (${printable(hold.kind)}, ${hold.errorCode}): see imsync status\n`,
        );
    });
  });
}
