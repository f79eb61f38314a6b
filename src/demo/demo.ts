import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openCallQueues } from '../calls/bullmq/queues.ts';
import type { ReadFile } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { listDeadLetters } from '../ledger/letters/letter-store.ts';
import { readStatus, type Status } from '../ops/status.ts';
import { readFleetState } from '../pace/hold/hold-state.ts';
import { quotasOf } from '../pace/quotas.ts';
import { UserCreatedProducer } from '../producer/producer.ts';
import type { RedisClient } from '../redis/connect.ts';
import { keysOf } from '../redis/keys.ts';
import { pushSignups } from './arrivals.ts';
import { auditAccounts } from './audit.ts';
import { DemoError } from './demo-error.ts';
import type { Output } from './output.ts';
import { type DemoPlan, planOf, scenarioOf } from './plan.ts';
import {
  count,
  counted,
  holdLine,
  isOver,
  type Progress,
  progressBlock,
  progressLine,
  progressOf,
} from './progress.ts';
import { findRedisServer } from './redis-server.ts';
import type { SimulatorControl } from './simulator-control.ts';
import { cliPath, DEMO_APP_ID, type Stage } from './stage.ts';
import { checksOf, type Outcome, summaryLines } from './summary.ts';

/** Looks this often; without a terminal it says so less often. */
const LOOK_EVERY_MS = 250;
const LINE_EVERY_MS = 2_000;
/** From the last signup to the last end; what takes longer is stuck. */
const PATIENCE_MS = 90_000;

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
 * Plays the whole demo on `stage`: signups, trouble, summary. Resolves to false when the books do not balance.
 * Rejects with a DemoError when it cannot be played, or when `signal` ends it. The caller closes the stage.
 */
export async function playDemo(options: DemoOptions): Promise<boolean> {
  const { signups, keep, output, stage, readFile, signal } = options;
  const plan = planOf(signups);
  output.line(`imsync demo: ${count(signups)} signups become accounts, all on this machine.`);
  const server = await findRedisServer(output, process.env, signal);
  const { redis } = await stage.startRedis(server);
  const simulator = await stage.startSimulator(scenarioOf(plan));
  await stage.startWorkers();
  for (const line of introduction(plan, stage, simulator)) output.line(line);

  const watch = openWatch(stage, redis, readFile);
  const keys = keysOf(DEMO_APP_ID);
  const producer = new UserCreatedProducer({
    sdkAppId: DEMO_APP_ID,
    redis: { url: stage.settings().IMSYNC_REDIS_URL ?? '' },
  });
  try {
    await simulator.setScenario(scenarioOf(plan));
    const startedMs = performance.now();
    let arrived = 0;
    const pushing = pushSignups({
      ...plan,
      producer,
      redis,
      keys,
      signal,
      onArrived: (n) => {
        arrived = n;
      },
    });
    const look = async (): Promise<Progress> => {
      // Before the status: what arrived by now is in it.
      const at = { elapsedMs: performance.now() - startedMs, total: signups, arrived };
      return progressOf(await watch.status(), await simulator.report(), at);
    };
    const following = follow(look, output, plan.arrivalMs + PATIENCE_MS, signal);
    await Promise.all([pushing, following]);
    const elapsedMs = performance.now() - startedMs;

    const outcome = await gather(plan, elapsedMs, watch, simulator, redis);
    output.block([]);
    output.line();
    for (const line of summaryLines(outcome)) output.line(line);
    output.line();
    for (const line of nextSteps(keep, stage, simulator)) output.line(line);
    return checksOf(outcome).every(({ ok }) => ok);
  } finally {
    await Promise.all([watch.close(), producer.close()]);
  }
}

/** Shows the progress until every signup has ended. */
async function follow(
  look: () => Promise<Progress>,
  output: Output,
  patienceMs: number,
  signal: AbortSignal,
): Promise<void> {
  let saidMs = Number.NEGATIVE_INFINITY;
  let held = false;
  for (;;) {
    const progress = await look();
    output.block(progressBlock(progress));
    const over = isOver(progress);
    if (held !== (progress.hold !== null)) {
      held = progress.hold !== null;
      output.line(holdLine(progress));
      output.block(progressBlock(progress));
    }
    if (!output.isTerminal && (over || progress.elapsedMs - saidMs >= LINE_EVERY_MS)) {
      saidMs = progress.elapsedMs;
      output.line(progressLine(progress));
    }
    if (over) return;
    if (progress.elapsedMs > patienceMs) {
      throw new DemoError(
        `Not every signup has ended after ${Math.round(progress.elapsedMs / 1_000)} s: ${progressLine(progress)}.`,
      );
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
}

interface Watch {
  status(): Promise<Status>;
  close(): Promise<void>;
}

/** What `imsync status` reads, over a connection that is there already. */
function openWatch(stage: Stage, redis: RedisClient, readFile: ReadFile): Watch {
  const { config } = loadConfig({ env: stage.settings(), readFile });
  const quotas = quotasOf(config);
  const keys = keysOf(config.app.sdkAppId);
  const queues = openCallQueues(redis, keys, Object.keys(quotas) as ImportCommand[], () => undefined);
  return {
    status: () => readStatus(redis, keys, queues, config.app.sdkAppId, quotas),
    close: () => queues.close(),
  };
}

async function gather(
  plan: DemoPlan,
  elapsedMs: number,
  watch: Watch,
  simulator: SimulatorControl,
  redis: RedisClient,
): Promise<Outcome> {
  const keys = keysOf(DEMO_APP_ID);
  const letters = [];
  for await (const letter of listDeadLetters(redis, keys)) letters.push(letter);
  return {
    total: plan.signups.length,
    elapsedMs,
    heldMs: readFleetState(await redis.hgetall(keys.hold)).heldMs,
    status: await watch.status(),
    facts: await simulator.report(),
    letters,
    audit: auditAccounts(plan.signups, letters, await simulator.accounts()),
  };
}

function introduction(plan: DemoPlan, stage: Stage, simulator: SimulatorControl): string[] {
  const { trouble, outage } = plan;
  return [
    `  Redis      ${stage.settings().IMSYNC_REDIS_URL}, its own, append-only file on`,
    `  the API    ${simulator.url}, a simulator with the documented quotas and answers`,
    '  workers    2 processes, which share the quota',
    '  trouble    3 % of the calls fail for a moment; in the middle no call succeeds',
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
      `  ${imsync} demo --keep              leave it running and look around: status, dlq, push`,
      `  ${imsync} demo --signups 100000    more of them`,
      `  ${imsync} doctor                   check the settings of your own app and Redis`,
      `  ${imsync} worker --help            run a worker for real`,
    ];
  }
  return [
    'It keeps running until Ctrl-C:',
    `  logs       ${stage.folder}/*.log`,
    `  simulator  ${simulator.url}/_sim/report`,
    ...stage.opsUrls().map((url) => `  a worker   ${url}/status and ${url}/metrics`),
    'These lines let another terminal join in:',
    ...Object.entries(stage.settings()).map(([name, value]) => `  export ${name}=${value}`),
    'and then, for example:',
    `  ${imsync} status`,
    `  ${imsync} dlq list`,
    `  ${imsync} push --user-id alice --nick Alice`,
    `  curl ${simulator.url}/_sim/accounts/alice`,
  ];
}
