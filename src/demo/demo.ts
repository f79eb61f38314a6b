import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallQueues } from '../calls/bullmq/queues.ts';
import type { ReadFile } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { toFields } from '../event/fields.ts';
import { readFleetState } from '../hold/hold-state.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { listDeadLetters } from '../ledger/letters/letter-store.ts';
import { readStatus } from '../ops/status.ts';
import { quotasOf } from '../pace/budget.ts';
import { UserCreatedProducer } from '../producer/producer.ts';
import type { RedisClient } from '../redis/connect.ts';
import { keysOf } from '../redis/keys.ts';
import { DemoError } from './child.ts';
import { type DemoPlan, planOf, scenarioOf } from './plan.ts';
import {
  count,
  counted,
  holdLine,
  isOver,
  type Output,
  type Progress,
  progressBlock,
  progressLine,
} from './progress.ts';
import { findRedisServer } from './redis-server.ts';
import { cliPath, DEMO_APP_ID, type SimulatorControl, type Stage } from './stage.ts';
import { auditAccounts, checksOf, summaryLines } from './summary.ts';

/** How often the progress is read, and how often it is printed without a terminal. */
const PROGRESS_EVERY_MS = 250;
const LINE_EVERY_MS = 2_000;
/** The time limit from the last signup to the end of the last event. */
const FINISH_MS = 90_000;
/** Signups are pushed at this interval. */
const PUSH_EVERY_MS = 50;
const keys = keysOf(DEMO_APP_ID);

export interface DemoOptions {
  readonly signups: number;
  readonly keep: boolean;
  readonly output: Output;
  readonly stage: Stage;
  readonly readFile: ReadFile;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
}

/**
 * Runs the whole demo on `stage`: signups, trouble, summary. Resolves to false if a check fails.
 * Rejects with a DemoError if it cannot be run, or when `signal` ends it. The caller closes the stage.
 */
export async function playDemo(options: DemoOptions): Promise<boolean> {
  const { signups, keep, output, stage, readFile, signal } = options;
  const plan = planOf(signups);
  output.line(`imsync demo: ${count(signups)} signups become accounts, all on this machine.`);
  const redis = await stage.startRedis(await findRedisServer(output, process.env, signal));
  const simulator = await stage.startSimulator(scenarioOf(plan));
  await stage.startWorkers(redis);
  for (const line of introduction(plan, stage, simulator)) output.line(line);

  const { config } = loadConfig({ env: stage.settings(), readFile });
  const quotas = quotasOf(config);
  const queues = new CallQueues(redis, keys, Object.keys(quotas) as ImportCommand[], () => undefined);
  const readFleet = () => readStatus(redis, keys, queues, DEMO_APP_ID, quotas);
  const producer = new UserCreatedProducer({
    sdkAppId: DEMO_APP_ID,
    redis: { url: stage.settings().IMSYNC_REDIS_URL ?? '' },
  });
  try {
    await simulator.setScenario(scenarioOf(plan));
    const startedMs = performance.now();
    const pushed = { arrived: 0 };
    const readProgress = async (): Promise<Progress> => ({
      elapsedMs: performance.now() - startedMs,
      total: signups,
      // Read before the status, so that the status includes what has arrived.
      arrived: pushed.arrived,
      status: await readFleet(),
      facts: await simulator.report(),
    });
    await Promise.all([
      pushSignups(plan, producer, redis, pushed, signal),
      showProgress(readProgress, output, plan.arrivalMs + FINISH_MS, signal),
    ]);
    const elapsedMs = performance.now() - startedMs;

    const letters = [];
    for await (const letter of listDeadLetters(redis, keys)) letters.push(letter);
    const outcome = {
      total: signups,
      elapsedMs,
      heldMs: readFleetState(await redis.hgetall(keys.hold)).heldMs,
      status: await readFleet(),
      facts: await simulator.report(),
      letters,
      audit: auditAccounts(plan.signups, letters, await simulator.accounts()),
    };
    output.block([]);
    const lines = ['', ...summaryLines(outcome), '', ...nextSteps(keep, stage, simulator)];
    for (const line of lines) output.line(line);
    return checksOf(outcome).every(({ ok }) => ok);
  } finally {
    await Promise.all([queues.close(), producer.close()]);
  }
}

/**
 * Pushes the signups evenly over `arrivalMs`, through the producer or by XADD as any Redis client can,
 * and counts them in `pushed`. Rejects with a DemoError if one is refused, or on `signal`.
 */
async function pushSignups(
  { signups, arrivalMs }: DemoPlan,
  producer: UserCreatedProducer,
  redis: RedisClient,
  pushed: { arrived: number },
  signal: AbortSignal,
): Promise<void> {
  const startedMs = performance.now();
  while (pushed.arrived < signups.length) {
    const share = Math.min(1, (performance.now() - startedMs + PUSH_EVERY_MS) / arrivalMs);
    const due = signups.slice(pushed.arrived, Math.ceil(share * signups.length));
    const checked = due.filter((signup) => signup.checked).map(({ user }) => user);
    for (const result of await producer.addMany(checked)) {
      if (!result.ok) throw new DemoError(`The producer refused a signup: ${result.error.message}`);
    }
    for (const { user } of due.filter((signup) => !signup.checked)) {
      await redis.xadd(keys.stream, '*', ...toFields(user));
    }
    pushed.arrived += due.length;
    await sleep(PUSH_EVERY_MS, undefined, { signal });
  }
}

/** Shows the progress until every signup has ended. */
async function showProgress(
  readProgress: () => Promise<Progress>,
  output: Output,
  timeLimitMs: number,
  signal: AbortSignal,
): Promise<void> {
  let printedMs = Number.NEGATIVE_INFINITY;
  let held = false;
  for (;;) {
    const progress = await readProgress();
    output.block(progressBlock(progress));
    const over = isOver(progress);
    const { hold } = progress.status;
    if (held !== (hold !== null)) {
      held = hold !== null;
      output.line(holdLine(progress));
      output.block(progressBlock(progress));
    }
    if (!output.isTerminal && (over || progress.elapsedMs - printedMs >= LINE_EVERY_MS)) {
      printedMs = progress.elapsedMs;
      output.line(progressLine(progress));
    }
    if (over) return;
    if (progress.elapsedMs > timeLimitMs) {
      const elapsed = `${Math.round(progress.elapsedMs / 1_000)} s`;
      throw new DemoError(`Not every signup has ended after ${elapsed}: ${progressLine(progress)}.`);
    }
    await sleep(PROGRESS_EVERY_MS, undefined, { signal });
  }
}

function introduction(plan: DemoPlan, stage: Stage, simulator: SimulatorControl): string[] {
  const { trouble, outage } = plan;
  return [
    `  Redis      ${stage.settings().IMSYNC_REDIS_URL}, with its append-only file on`,
    `  the API    ${simulator.url}, a simulator with the documented quotas and answers`,
    '  workers    2 processes that share the quota',
    '  trouble    3 % of the calls have a transient error; in the middle no call succeeds',
    `             for ${outage.lastsMs / 1_000} s; ${trouble.refused.length + trouble.flaky.length} FailAccounts, ` +
      `${counted(trouble.sensitive.length, 'sensitive nick')}, ${counted(trouble.forbidden.length, 'forbidden ID')};`,
    `             ${counted(plan.repeats, 'change')} of nick right after the signup`,
    '',
  ];
}

function nextSteps(keep: boolean, stage: Stage, simulator: SimulatorControl): string[] {
  const imsync = `node ${relative(process.cwd(), cliPath())}`;
  if (!keep) {
    return [
      'What to try next:',
      `  ${imsync} demo --keep              keep it running, to try status, dlq and push`,
      `  ${imsync} demo --signups 100000    run it with more signups`,
      `  ${imsync} doctor                   check the settings of your own app and Redis`,
      `  ${imsync} worker --help            run a worker for real`,
    ];
  }
  return [
    'The demo keeps running until Ctrl-C:',
    `  logs       ${stage.folder}/*.log`,
    `  simulator  ${simulator.url}/_sim/report`,
    ...stage.opsUrls().map((url) => `  a worker   ${url}/status and ${url}/metrics`),
    'These lines let another terminal join the demo:',
    ...Object.entries(stage.settings()).map(([name, value]) => `  export ${name}=${value}`),
    'Then, for example:',
    `  ${imsync} status`,
    `  ${imsync} dlq list`,
    `  ${imsync} push --user-id alice --nick Alice`,
    `  curl ${simulator.url}/_sim/accounts/alice`,
  ];
}
