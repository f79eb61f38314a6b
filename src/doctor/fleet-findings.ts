import { type FleetState, readFleetState } from '../hold/hold-state.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { readTotals, type Totals } from '../ledger/totals.ts';
import { HOLD_ADVICE } from '../logging/hold-log.ts';
import { readPresence, type WorkerPresence } from '../ops/presence.ts';
import { type Quota, ratePerSecond } from '../pace/budget.ts';
import { streamFaultOf } from '../producer/stream-fault.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { duration, type Finding, hint, ok, skipped, wrong } from './finding.ts';

/** What the workers have written into Redis about themselves. */
export async function examineFleet(redis: RedisClient, keys: Keys): Promise<Finding[]> {
  try {
    const totals = await readTotals(redis, keys);
    const state = readFleetState(await redis.hgetall(keys.hold));
    return fleetFindings(totals, state, await readPresence(redis, keys, totals.nowMs));
  } catch (error) {
    const { message } = error as Error;
    return [
      wrong(
        'workers',
        `The workers' data in Redis cannot be read: ${message}`,
        streamFaultOf(message, keys.stream)?.todo ??
          `Allow the Redis user to run scripts and to use keys such as ${keys.stream} (docs/security.md).`,
      ),
    ];
  }
}

export function fleetFindings(
  totals: Totals,
  state: FleetState,
  workers: readonly WorkerPresence[],
): Finding[] {
  return [
    workersFinding(totals, workers),
    holdFinding(totals.nowMs, state),
    pauseFinding(state),
    suspectsFinding(totals),
    oddFinding(workers),
  ];
}

export function quotaFindings(quotas: Readonly<Partial<Record<ImportCommand, Quota>>>): Finding[] {
  return (Object.entries(quotas) as [ImportCommand, Quota][]).map(([command, quota]) => {
    const { perSecond, share, margin } = quota;
    const part = share === 1 ? 'all' : percent(share);
    return ok(
      `quota.${command}`,
      `${command}: ${perSecond} calls/s are allowed, and ${part} of them are used, less a margin of ${percent(margin)}; ` +
        `at most ${ratePerSecond(quota).toFixed(1)} start per second over all processes`,
    );
  });
}

/** Only the API's answers show that a plan is a trial. */
export function planHint(): Finding {
  return hint(
    'plan',
    'A trial plan allows 100 accounts. For more, the API answers 70398 and all calls are held. ' +
      'They resume by themselves when the plan is changed',
  );
}

function workersFinding({ nowMs, waiting }: Totals, workers: readonly WorkerPresence[]): Finding {
  const [first] = workers;
  if (first !== undefined) {
    const versions = [...new Set(workers.map(({ version }) => version))].join(', ');
    const newest = Math.max(...workers.map(({ lastSeen }) => lastSeen));
    const running = `${workers.length} ${workers.length === 1 ? 'worker runs' : 'workers run'}`;
    return ok(
      'workers',
      `${running} (version ${versions}), last seen ${duration(Math.max(0, nowMs - newest))} ago`,
    );
  }
  const start = 'Start a worker: imsync worker';
  return waiting > 0
    ? wrong('workers', `No worker runs, and ${waiting} events wait`, start)
    : skipped('workers', 'No worker runs', start);
}

function holdFinding(nowMs: number, { hold }: FleetState): Finding {
  if (hold === null) return ok('hold', 'Calls are not held');
  const next = hold.nextProbeAt > nowMs ? `in ${duration(hold.nextProbeAt - nowMs)}` : 'due now';
  const since = new Date(hold.since).toISOString();
  return wrong(
    'hold',
    `All calls have been held since ${since} (${hold.kind}): ${hold.errorCode} ${hold.errorInfo}; next probe ${next}`,
    `${HOLD_ADVICE[hold.kind] ?? 'Fix the cause that the code names.'} Events are kept, and calls resume by themselves after a successful probe.`,
  );
}

function suspectsFinding({ suspectedCalls }: Totals): Finding {
  if (suspectedCalls === 0) return ok('suspects', 'No call fails while others succeed');
  return hint(
    'suspects',
    `${suspectedCalls} calls fail while others succeed. Their users are retried alone and delay no other user. ` +
      'See who and why: imsync status',
  );
}

/** Odd events are imported, so only the workers have seen them. */
function oddFinding(workers: readonly WorkerPresence[]): Finding {
  const counts = new Map<string, number>();
  for (const { odd = {} } of workers)
    for (const [kind, count] of Object.entries(odd)) counts.set(kind, (counts.get(kind) ?? 0) + count);
  if (counts.size === 0) return ok('odd', 'No event looked odd since these workers started');
  const shown = [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ');
  return hint(
    'odd',
    `Events that look as if a program had left a value behind were imported all the same: ${shown}. ` +
      'The log names them at level debug; docs/produce.md says what the kinds mean',
  );
}

function pauseFinding({ pause }: FleetState): Finding {
  if (pause === null) return ok('pause', 'No operator has paused the calls');
  const since = new Date(pause.since).toISOString();
  const why = pause.reason === '' ? '' : `: ${pause.reason}`;
  return wrong(
    'pause',
    `An operator has paused all calls since ${since}${why}`,
    'Resume the calls: imsync resume',
  );
}

function percent(share: number): string {
  return `${Math.round(1_000 * share) / 10} %`;
}
