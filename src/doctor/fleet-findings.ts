import type { ImportCommand } from '../im/bodies.ts';
import type { Totals } from '../ledger/totals.ts';
import type { WorkerPresence } from '../ops/presence.ts';
import { type Quota, ratePerSecond } from '../pace/budget.ts';
import type { FleetState } from '../pace/hold/hold-state.ts';
import { duration, type Finding, hint, ok, skipped, wrong } from './finding.ts';

/** What the fleet has written into Redis about itself. */
interface FleetFacts {
  readonly books: Totals;
  readonly state: FleetState;
  readonly workers: readonly WorkerPresence[];
}

export function fleetFindings({ books, state, workers }: FleetFacts): Finding[] {
  return [
    workersFinding(books, workers),
    holdFinding(books.nowMs, state),
    pauseFinding(state),
    suspectsFinding(books),
  ];
}

export function fleetSkipped(): Finding[] {
  return ['workers', 'hold', 'pause', 'suspects'].map((name) =>
    skipped(name, `${name}: not known without Redis`),
  );
}

/** Which quota is in force, by these settings. */
export function quotaFindings(quotas: Readonly<Partial<Record<ImportCommand, Quota>>>): Finding[] {
  return (Object.entries(quotas) as [ImportCommand, Quota][]).map(([command, quota]) => {
    const { perSecond, share, margin } = quota;
    const part = share === 1 ? 'all of it' : `${percent(share)} of it`;
    return ok(
      `quota.${command}`,
      `${command}: ${perSecond} calls/s allowed, ${part} used less ${percent(margin)} of margin: ` +
        `${ratePerSecond(quota).toFixed(1)} start at most, over all processes`,
    );
  });
}

/** A trial is recognised by its answers only. */
export function planHint(): Finding {
  return hint(
    'plan',
    'a trial plan allows 100 accounts: from the 101st on the API answers 70398, all calls are held, and go on by themselves once the plan is changed',
  );
}

function workersFinding({ nowMs, waiting }: Totals, workers: readonly WorkerPresence[]): Finding {
  const [first] = workers;
  if (first !== undefined) {
    const versions = [...new Set(workers.map(({ version }) => version))].join(', ');
    const newest = Math.max(...workers.map(({ lastSeen }) => lastSeen));
    const seen = `${workers.length} ${workers.length === 1 ? 'worker runs' : 'workers run'}`;
    return ok('workers', `${seen} (version ${versions}), seen ${duration(Math.max(0, nowMs - newest))} ago`);
  }
  const start = 'Start one: imsync worker';
  return waiting > 0
    ? wrong('workers', `no worker runs, and ${waiting} events wait`, start)
    : skipped('workers', 'no worker runs', start);
}

function holdFinding(nowMs: number, { hold }: FleetState): Finding {
  if (hold === null) return ok('hold', 'no hold: calls may start');
  const next = hold.nextProbeAt > nowMs ? `in ${duration(hold.nextProbeAt - nowMs)}` : 'due now';
  return wrong(
    'hold',
    `all calls are held since ${new Date(hold.since).toISOString()} (${hold.kind}): ${hold.errorCode} ${hold.errorInfo}; next probe ${next}`,
    'Mend what the code says; events are kept, and probes find the recovery by themselves.',
  );
}

function suspectsFinding({ suspectedCalls }: Totals): Finding {
  if (suspectedCalls === 0) return ok('suspects', 'nobody fails while others pass');
  return hint(
    'suspects',
    `${suspectedCalls} calls fail while others pass: their users are retried alone, and hold up nobody. See who and why: imsync status`,
  );
}

function pauseFinding({ pause }: FleetState): Finding {
  if (pause === null) return ok('pause', 'not paused by an operator');
  const since = new Date(pause.since).toISOString();
  const why = pause.reason === '' ? '' : `: ${pause.reason}`;
  return wrong(
    'pause',
    `an operator has paused all calls since ${since}${why}`,
    'Let them go on: imsync resume',
  );
}

function percent(share: number): string {
  return `${Math.round(1_000 * share) / 10} %`;
}
