import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../config/load.ts';
import { toFields, type UserInput } from '../../event/fields.ts';
import { type FleetState, readFleetState } from '../../hold/hold-state.ts';
import { listDeadLetters, summarizeLetters } from '../../ledger/letters/letter-store.ts';
import { readTotals, type Totals } from '../../ledger/totals.ts';
import { quotasOf } from '../../pace/budget.ts';
import type { RedisClient } from '../../redis/connect.ts';
import { keysOf } from '../../redis/keys.ts';
import { readTextFile } from '../context.ts';
import { CliError, EXIT } from '../fail.ts';
import { counted, grouped } from '../format.ts';
import type { Progress } from '../progress.ts';
import { type DemoPlan, planOf, scenarioOf } from './plan.ts';
import { asideUsers, signUp, startPostgres } from './postgres.ts';
import { installRedisServer } from './redis-server.ts';
import { cliPath, DEMO_APP_ID, type Stage } from './stage.ts';
import {
  accountsPerCall,
  BATCH_COMMAND,
  checksOf,
  retriesOf,
  type SimulatorFacts,
  summaryLines,
} from './summary.ts';

const LOOK_EVERY_MS = 250;
/** The time limit from the last signup to the end of the last event. */
const FINISH_MS = 90_000;
/** Signups are pushed at this interval. */
const PUSH_EVERY_MS = 50;
const keys = keysOf(DEMO_APP_ID);

/**
 * Runs the whole demo on `stage`: signups, trouble, summary. Resolves to false if a check fails. Rejects
 * when it cannot be run, or when the stage aborts. The caller closes the stage.
 */
export async function play(
  stage: Stage,
  { signups, keep, outbox }: { readonly signups: number; readonly keep: boolean; readonly outbox: boolean },
  progress: Progress,
): Promise<boolean> {
  const plan = planOf(signups);
  progress.say(`imsync demo: ${grouped(signups)} signups become accounts, all on this machine.`);
  await installRedisServer(progress.say, stage.over.signal);
  const redis = await stage.startRedis();
  await stage.startSimulator();
  const database = outbox ? await startPostgres(stage) : undefined;
  if (database !== undefined) await stage.startRelay();
  await stage.startWorkers(redis);
  progress.say(introduction(plan, stage).join('\n'));

  await stage.askSimulator('faults', { method: 'PUT', body: JSON.stringify(scenarioOf(plan)) });
  const quotas = quotasOf(loadConfig({ env: stage.settings, readFile: readTextFile }).config);
  const startedMs = performance.now();
  const pushed = { count: 0 };
  const look = async (): Promise<Seen> => ({
    elapsedMs: performance.now() - startedMs,
    total: signups,
    quota: quotas[BATCH_COMMAND]?.perSecond ?? 0,
    // Read before the totals, so that the totals include what has arrived. A row of the outbox arrives later.
    arrived:
      database === undefined
        ? pushed.count
        : (await asideUsers(database)).size + (await readTotals(redis, keys)).accepted,
    totals: await readTotals(redis, keys),
    fleet: readFleetState(await redis.hgetall(keys.hold)),
    facts: JSON.parse(await stage.askSimulator('report')),
  });
  await Promise.all([
    pushSignups(plan, pushed, stage.over.signal, (users) =>
      database === undefined ? addToStream(redis, users) : signUp(database, users),
    ),
    showProgress(look, progress, plan.arrivalMs + FINISH_MS, stage.over.signal),
  ]);
  const aside = database === undefined ? undefined : await asideUsers(database);
  const { elapsedMs, totals, fleet, facts } = await look();
  const letters = [];
  for await (const letter of listDeadLetters({ redis, keys })) letters.push(letter);
  const accounts = (await stage.askSimulator('accounts')).split('\n').filter((line) => line !== '');
  const outcome = {
    signups: plan.signups.filter(({ userId }) => !aside?.has(userId)),
    ...{ elapsedMs, heldMs: fleet.heldMs, totals, facts, letters },
    groups: (await summarizeLetters({ redis, keys })).groups,
    accounts: accounts.map((line) => JSON.parse(line)),
    quotas,
  };
  progress.end();
  if (!keep) await database?.close();
  const lines = ['', ...summaryLines(outcome), ...asideLines(aside), '', ...nextSteps(keep, stage)];
  process.stdout.write(`${lines.join('\n')}\n`);
  return checksOf(outcome).every(({ ok }) => ok);
}

/** By XADD, as any Redis client can. What Redis refuses is missing in the totals at the end. */
async function addToStream(redis: RedisClient, users: readonly UserInput[]): Promise<void> {
  const pipeline = redis.pipeline();
  for (const user of users) pipeline.xadd(keys.stream, '*', ...toFields(user));
  await pipeline.exec();
}

/** Pushes the signups evenly over `arrivalMs`, and counts them in `pushed`. */
async function pushSignups(
  { signups, arrivalMs }: DemoPlan,
  pushed: { count: number },
  signal: AbortSignal,
  push: (users: readonly UserInput[]) => Promise<void>,
): Promise<void> {
  const startedMs = performance.now();
  while (pushed.count < signups.length) {
    const share = Math.min(1, (performance.now() - startedMs + PUSH_EVERY_MS) / arrivalMs);
    const due = signups.slice(pushed.count, Math.ceil(share * signups.length));
    await push(due);
    pushed.count += due.length;
    await sleep(PUSH_EVERY_MS, undefined, { signal });
  }
}

/** What the demo shows while it runs. `arrived` of `total` signups have been pushed so far. */
interface Seen {
  readonly elapsedMs: number;
  readonly total: number;
  readonly arrived: number;
  /** Batch calls that the API allows per second. */
  readonly quota: number;
  readonly totals: Totals;
  readonly fleet: FleetState;
  readonly facts: SimulatorFacts;
}

/** Shows the progress until every signup has ended. Whether the counts are right is checked later. */
async function showProgress(
  look: () => Promise<Seen>,
  progress: Progress,
  timeLimitMs: number,
  signal: AbortSignal,
): Promise<void> {
  let wasHeld = false;
  for (;;) {
    const seen = await look();
    const { elapsedMs, arrived, total, totals, fleet } = seen;
    const text = progressText(seen);
    const isHeld = fleet.hold !== null;
    if (isHeld !== wasHeld) progress.say(holdText(seen));
    wasHeld = isHeld;
    progress.show(text, totals.imported / total);
    if (arrived >= total && unfinished(totals) === 0) return;
    if (elapsedMs > timeLimitMs) {
      const elapsed = `${Math.round(elapsedMs / 1_000)} s`;
      throw new CliError(EXIT.failed, `Not every signup has ended after ${elapsed}: ${text}.`);
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
}

function unfinished({ waiting, parked, usersInCalls }: Totals): number {
  return Object.values(usersInCalls).reduce((sum, users) => sum + users, waiting + parked);
}

function progressText({ elapsedMs, total, arrived, quota, totals, fleet: { hold }, facts }: Seen): string {
  const arriving = arrived < total ? 'signups arrive' : 'all signups have arrived; the rest is processed';
  return [
    seconds(elapsedMs),
    `imported ${grouped(totals.imported)} of ${grouped(total)}`,
    `calls/s ${facts.commands[BATCH_COMMAND]?.startedLastSecond ?? 0} of ${quota}`,
    `accounts a call ${accountsPerCall(facts)}`,
    `retries ${retriesOf(facts)}`,
    `waiting ${grouped(unfinished(totals))}`,
    hold === null ? arriving : `held (${hold.errorCode}, ${hold.kind})`,
  ].join(' · ');
}

function holdText({ elapsedMs, fleet: { hold } }: Seen): string {
  const what =
    hold === null
      ? 'the API accepts calls again, and work continues'
      : `the API answers ${hold.errorCode}, so all calls are held; events wait, probes continue`;
  return `${seconds(elapsedMs)} · ${what}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(0).padStart(3)} s`;
}

function asideLines(aside: ReadonlySet<string> | undefined): string[] {
  if (aside === undefined) return [];
  return [
    `  ${counted(aside.size, 'more row')} cannot be events and stand in imsync_outbox_archive with their reason`,
  ];
}

function introduction({ outage, trouble, repeats }: DemoPlan, { settings }: Stage): string[] {
  return [
    `  Redis      ${settings.IMSYNC_REDIS_URL}, with its append-only file on`,
    `  the API    ${settings.IMSYNC_BASE_URL}, a simulator with the documented quotas and answers`,
    ...(settings.IMSYNC_DATABASE_URL === undefined
      ? []
      : [
          '  database   PostgreSQL: a signup and its event are one transaction, and a relay brings it to Redis',
        ]),
    '  workers    2 processes that share the quota',
    '  trouble    3 % of the calls have a transient error; in the middle no call succeeds',
    `             for ${outage.lastsMs / 1_000} s; ${trouble.refused.length + trouble.flaky.length} FailAccounts, ` +
      `${counted(trouble.sensitive.length, 'sensitive nick')}, ${counted(trouble.forbidden.length, 'forbidden ID')};`,
    `             ${counted(repeats, 'change')} of nick right after the signup`,
    '',
  ];
}

function nextSteps(keep: boolean, stage: Stage): string[] {
  const imsync = `node ${relative(process.cwd(), cliPath())}`;
  if (!keep) {
    return [
      'What to try next:',
      `  ${imsync} demo --keep              keep it running, to try status, dlq and push`,
      `  ${imsync} demo --signups 100000    run it with more signups`,
      `  ${imsync} demo --outbox            the same from a PostgreSQL, by a relay`,
      `  ${imsync} doctor                   check the settings of your own app and Redis`,
      `  ${imsync} worker --help            run a worker for real`,
    ];
  }
  const simulator = stage.settings.IMSYNC_BASE_URL;
  return [
    'The demo keeps running until Ctrl-C:',
    `  logs       ${stage.folder}/*.log`,
    `  simulator  ${simulator}/_sim/report`,
    ...stage.opsUrls().map((url) => `  a worker   ${url}/status and ${url}/metrics`),
    'These lines let another terminal join the demo:',
    ...Object.entries(stage.settings).map(([name, value]) => `  export ${name}=${value}`),
    'Then, for example:',
    `  ${imsync} status`,
    `  ${imsync} dlq list`,
    `  ${imsync} push --user-id alice --nick Alice`,
    `  curl ${simulator}/_sim/accounts/alice`,
  ];
}
