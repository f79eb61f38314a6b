import { randomUUID } from 'node:crypto';
import { CallWorker } from '../calls/bullmq/call-worker.ts';
import { CallQueues } from '../calls/bullmq/queues.ts';
import { LocalCalls } from '../calls/local-calls.ts';
import { type Swept, startSweeping } from '../calls/sweep.ts';
import type { Config } from '../config/config.ts';
import { Admission } from '../delivery/admission.ts';
import { deliver, deliverLocal } from '../delivery/deliver.ts';
import { allOf, type DeliveryOptions } from '../delivery/delivery-options.ts';
import { Chance } from '../delivery/policy/chance.ts';
import { Prober } from '../delivery/prober.ts';
import { eventRulesOf } from '../event/event.ts';
import type { ImportCommand } from '../im/bodies.ts';
import type { Api } from '../im/open-api.ts';
import { BatchSize } from '../intake/batch-size.ts';
import { Coalescer } from '../intake/coalescer.ts';
import type { CutCall, CutLimits } from '../intake/cut.ts';
import { keepCallsAlive } from '../ledger/claim.ts';
import { waitingUsers } from '../ledger/open-calls.ts';
import { createDeliveryLog } from '../logging/delivery-log.ts';
import { createSweepLog } from '../logging/health-log.ts';
import type { Logger } from '../logging/log.ts';
import type { Feed } from '../ops/feed/feed.ts';
import type { FleetCounts } from '../ops/history/fleet-counts.ts';
import type { ProcessMetrics } from '../ops/process-metrics.ts';
import { ratePerSecond } from '../pace/budget.ts';
import type { Keys } from '../redis/keys.ts';
import type { CallTracer } from '../tracing/call-tracer.ts';
import type { Connections } from './connections.ts';
import type { Capacity, Pacing } from './pacing.ts';

/** Records of each class that get ready before their slots, which takes ms; slots lie 5 ms or more apart. */
const READY = { places: 12, patienceMs: 3_000 };

/** What a worker is made of. */
export interface Parts {
  readonly config: Config;
  readonly capacity: Capacity;
  readonly connections: Connections;
  readonly keys: Keys;
  readonly pacing: Pacing;
  readonly api: Api;
  readonly metrics: ProcessMetrics;
  readonly feed: Feed;
  readonly counts: FleetCounts;
  readonly random: () => number;
  readonly log: Logger;
  readonly tracer?: CallTracer | undefined;
}

/** Starts the loops that carry events from the intake to their ends. */
export function startCalls(parts: Parts) {
  const { capacity, connections, keys, pacing, metrics } = parts;
  const { batch, commands } = capacity;
  const redis = connections.commands;
  const { trouble } = connections.log;
  const queues = new CallQueues(redis, keys, commands, trouble('the call queue'));
  const callBroke = trouble('a call (it is kept and will be made again)');
  const failed = (command: ImportCommand, error: Error): void => {
    metrics.runFailed(command);
    callBroke(error);
  };
  const localCalls = new LocalCalls({
    places: capacity.concurrency(batch),
    show: (callIds) => keepCallsAlive({ redis, keys }, callIds),
    addJob: (callId, delayMs) => queues.addAgain(batch, callId, delayMs),
    onFailed: (_callId, error) => failed(batch, error),
    onTrouble: trouble('keeping calls in hand'),
  });
  const admission = new Admission(READY);
  const delivery = deliveryOptions(parts, admission, queues, () => coalescer.nudge());
  const coalescer = new Coalescer({
    ...{ redis, keys },
    blocking: connections.intake,
    limits: cutLimits(parts),
    async place() {
      await localCalls.room();
      return admission.acquire('in hand');
    },
    newRun: randomUUID,
    take: (call, release) => localCalls.take(call.record.callId, () => deliverLocal(delivery, call, release)),
    handOver: (calls) => addJobs(queues, commands, calls),
    onTrouble: trouble('cutting calls'),
  });
  coalescer.start();
  pacing.watch.onChange(() => coalescer.nudge());
  const prober = startProber(parts);
  const workers = commands.map(
    (command) =>
      new CallWorker({
        ...{ command, connection: redis, keys },
        concurrency: capacity.concurrency(command),
        run: (callId, kind) => deliver(delivery, callId, kind),
        onFailed: (_callId, error) => failed(command, error),
        onTrouble: trouble('the call worker'),
      }),
  );
  const sweeper = startSweeper(parts, queues);
  return {
    loops: [
      { name: 'coalescer', deadline: coalescer },
      { name: 'calls in hand', deadline: localCalls.deadline },
      { name: 'sweeper', deadline: sweeper },
      { name: 'prober', deadline: prober.deadline },
      ...pacing.slotQueues.map(({ command, slotQueue }) => ({
        name: `slot queue of ${command}`,
        deadline: slotQueue,
      })),
      ...workers.map((worker, i) => ({
        name: `call worker of ${commands[i]}`,
        deadline: worker.deadline,
      })),
    ],
    /** Stops cutting, sweeping, probing and fetching. Then it finishes what is on the wire. */
    async close(): Promise<void> {
      const ended = [coalescer.close(), sweeper.stop(), prober.close()];
      ended.push(...workers.map((worker) => worker.close()));
      // Calls that wait for a slot leave before the coalescer is waited for: it may wait for their places.
      admission.close();
      for (const { slotQueue } of pacing.slotQueues) slotQueue.close();
      await Promise.all(ended);
      await localCalls.close();
      await queues.close();
    },
  };
}

function cutLimits({ config, capacity }: Parts): CutLimits {
  const { batch, single } = capacity;
  const callsPerSecond = ratePerSecond(capacity.quota(batch));
  return {
    batchCommand: batch,
    singleCommand: single,
    maxUsers: capacity.usersInRecord,
    maxWaitMs: config.batch.maxWaitMs,
    eagerCalls: config.batch.eagerShare * callsPerSecond,
    eagerGapMs: 1_000 / callsPerSecond,
    maxOpenCalls: Math.max(2, capacity.openRecords(batch)),
    alone: config.api.form === 'legacy' ? 'profile-or-robot' : 'nobody',
  };
}

/** What every run of a call record needs. `nudge`: entries came back to the intake. */
function deliveryOptions(
  parts: Parts,
  admission: Admission,
  queues: CallQueues,
  nudge: () => void,
): DeliveryOptions {
  const { config, capacity, connections, keys, pacing, api, metrics, feed, counts, random, log } = parts;
  const { batch, single } = capacity;
  const redis = connections.commands;
  const { trouble } = connections.log;
  return {
    ...{ redis, keys, admission, random },
    client: api.client,
    limiters: { ...pacing.limiters, account_check: pacing.checkLimiter },
    hold: pacing.hold,
    watch: pacing.watch,
    commands: { form: config.api.form, batch, single },
    overrides: config.verdicts,
    batchSize: new BatchSize(redis, keys, trouble('noting how large a call may be')),
    chance: new Chance(() => performance.now()),
    rules: eventRulesOf(config),
    onProfileFault: config.onProfileFault,
    retry: config.retry,
    allOutcomes: config.outcomes === 'all',
    signAnew: api.signAnewInDoubt,
    readSecretAnew: api.signAnew,
    tracer: parts.tracer,
    handOver: (command, callIds) =>
      queues.add(command, callIds).catch(trouble('adding jobs of calls for users with many events')),
    report: allOf(
      [
        metrics.report,
        feed.report,
        counts.report,
        createDeliveryLog(log, (returned) => returned > 0 && nudge()),
      ],
      trouble('a report'),
    ),
  };
}

/** Makes jobs of calls that were cut for others. */
async function addJobs(
  queues: CallQueues,
  commands: readonly ImportCommand[],
  calls: readonly CutCall[],
): Promise<void> {
  for (const command of commands) {
    const ofCommand = calls.filter((call) => call.command === command).map(({ callId }) => callId);
    await queues.add(command, ofCommand);
  }
}

function startProber({ pacing, api, connections, keys, metrics, feed, random, log }: Parts): Prober {
  const redis = connections.commands;
  const prober = new Prober({
    client: api.client,
    slots: pacing.checkLimiter.slots,
    watch: pacing.watch,
    hold: pacing.hold,
    signAnew: api.signAnew,
    random,
    waitingUsers: () => waitingUsers({ redis, keys }, random()),
    onProbe: (verdict, answer, durationMs) => {
      metrics.probed('account_check', verdict, answer, durationMs);
      feed.probed(verdict, answer, durationMs);
      const { errorCode, errorInfo, meaning } = verdict;
      log.info({ command: 'account_check', errorCode, errorInfo }, `probe of the hold answered: ${meaning}`);
    },
    onTrouble: connections.log.trouble('probing a hold'),
  });
  prober.start();
  return prober;
}

function startSweeper({ config, connections, keys, metrics, log }: Parts, queues: CallQueues) {
  const logSweep = createSweepLog(log);
  const tell = (swept: Swept): void => {
    metrics.swept(swept);
    logSweep(swept);
  };
  const app = { redis: connections.commands, keys };
  return startSweeping(app, queues, config.retry.maxMs, tell, connections.log.trouble('the sweep'));
}
