import { randomUUID } from 'node:crypto';
import { type CallWorker, startCallWorker } from '../calls/bullmq/call-worker.ts';
import { type CallQueues, openCallQueues } from '../calls/bullmq/queues.ts';
import { createLocalCalls } from '../calls/local-calls.ts';
import { startSweeper, sweep } from '../calls/sweep.ts';
import type { Config } from '../config/config.ts';
import { type Admission, createAdmission } from '../delivery/admission.ts';
import { allOf } from '../delivery/all-reports.ts';
import { createBodyLimit } from '../delivery/body-limit.ts';
import { deliver, deliverLocal } from '../delivery/deliver.ts';
import type { DeliveryOptions } from '../delivery/delivery-options.ts';
import { createChance } from '../delivery/policy/chance.ts';
import { Prober } from '../delivery/prober.ts';
import { trackRefusalRate } from '../delivery/refusal-rate.ts';
import type { ImportCommand } from '../im/bodies.ts';
import type { Api } from '../im/open-api.ts';
import { createCallClaims } from '../intake/call-claims.ts';
import { Coalescer } from '../intake/coalescer.ts';
import type { CutCall, CutLimits } from '../intake/cut.ts';
import { keepCallsAlive } from '../ledger/keep-alive.ts';
import { waitingUsers } from '../ledger/waiting-users.ts';
import { createDeliveryLog } from '../logging/delivery-log.ts';
import { createSweepLog } from '../logging/health-log.ts';
import type { Logger } from '../logging/log.ts';
import { runningDeadline, type WatchedLoop } from '../ops/liveness.ts';
import { ratePerSecond } from '../pace/budget.ts';
import type { Keys } from '../redis/keys.ts';
import type { Capacity } from './capacity.ts';
import type { Connections } from './connections.ts';
import type { Pacing } from './pacing.ts';
import type { Servers } from './servers.ts';

/** The loops that carry events from the intake to the end of each. */
export interface Calls {
  readonly loops: readonly WatchedLoop[];
  /** Cuts, sweeps and probes no more; then nothing new is fetched, and what is on the wire is finished. */
  close(): Promise<void>;
}

const SWEEP_EVERY_MS = 5_000;
/** Records of each class that get ready before their slots. Getting ready takes milliseconds; slots lie 5 ms apart or more. */
const READY = { places: 12, patienceMs: 3_000 };

/** What the loops are made of. */
interface Parts {
  readonly config: Config;
  readonly capacity: Capacity;
  /** ID of this process. */
  readonly id: string;
  readonly connections: Connections;
  readonly keys: Keys;
  readonly pacing: Pacing;
  readonly api: Api;
  readonly ops: Servers['ops'];
  readonly random: () => number;
  readonly log: Logger;
}

export function startCalls(parts: Parts): Calls {
  const { capacity, id, connections, keys, pacing, api, ops } = parts;
  const { batch, commands } = capacity;
  const { watch, slotQueues } = pacing;
  const redis = connections.commands;
  const { trouble } = connections.log;
  const queues = openCallQueues(redis, keys, commands, trouble('the call queue'));
  const callBroke = trouble('a call (it is kept and will be made again)');
  const failed = (command: ImportCommand, error: Error): void => {
    ops.runFailed(command);
    callBroke(error);
  };
  const localCalls = createLocalCalls({
    places: capacity.concurrency(batch),
    show: (callIds) => keepCallsAlive(redis, keys, callIds),
    addJob: (callId, delayMs) => queues.addAgain(batch, callId, delayMs),
    onFailed: (_callId, error) => failed(batch, error),
    onTrouble: trouble('keeping calls in hand'),
  });
  const admission = createAdmission({ ...READY, nowMs: () => performance.now() });
  const delivery = deliveryOptions(parts, admission, () => coalescer.nudge());
  const coalescer = new Coalescer({
    redis,
    blocking: connections.intake,
    keys,
    limits: cutLimits(parts),
    processId: id,
    async place() {
      await localCalls.room();
      return admission.acquire('in hand');
    },
    nextClaim: createCallClaims(randomUUID),
    expectCall: () => api.client.expectCall(),
    take(call, release) {
      localCalls.take(call.record.callId, () => deliverLocal(delivery, call, release));
    },
    handOver: (calls) => addJobs(queues, commands, calls),
    onTrouble: trouble('cutting calls'),
  });
  coalescer.start();
  watch.onChange(() => {
    admission.openAll();
    coalescer.nudge();
  });
  const prober = probing(parts);
  const workers: CallWorker[] = commands.map((command) =>
    startCallWorker({
      command,
      connection: redis,
      keys,
      concurrency: capacity.concurrency(command),
      run: (callId, kind) => deliver(delivery, callId, kind),
      onFailed: (_callId, error) => failed(command, error),
      onTrouble: trouble('the call worker'),
    }),
  );
  const sweeper = sweeping(parts, queues);
  return {
    loops: [
      { name: 'coalescer', deadline: coalescer.deadline },
      { name: 'calls in hand', deadline: localCalls.deadline },
      { name: 'sweeper', deadline: sweeper.deadline },
      { name: 'prober', deadline: prober.deadline },
      ...slotQueues.map(({ command, slotQueue }) => ({
        name: `slot queue of ${command}`,
        deadline: slotQueue,
      })),
      ...workers.map((worker, i) => ({
        name: `call worker of ${commands[i]}`,
        deadline: runningDeadline(worker, performance.now.bind(performance)),
      })),
    ],
    async close() {
      const ended = [coalescer, sweeper, prober].map((loop) => loop.close());
      // Workers close first, so that nothing new is fetched. Calls that wait for a slot leave before the coalescer is
      // waited for: the coalescer may wait for their places.
      ended.push(...workers.map((worker) => worker.close()));
      admission.close();
      for (const { slotQueue } of slotQueues) slotQueue.close();
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
function deliveryOptions(parts: Parts, admission: Admission, nudge: () => void): DeliveryOptions {
  const { config, capacity, connections, keys, pacing, api, ops, random, log } = parts;
  const { batch, single } = capacity;
  const redis = connections.commands;
  const { trouble } = connections.log;
  return {
    redis,
    keys,
    client: api.client,
    limiters: { ...pacing.limiters, account_check: pacing.checkLimiter },
    hold: pacing.hold,
    watch: pacing.watch,
    commands: { form: config.api.form, batch, single },
    admission,
    overrides: config.verdicts,
    culprits: trackRefusalRate(redis, keys, trouble('counting refused users')),
    chance: createChance(() => performance.now()),
    bodyLimit: createBodyLimit(redis, keys, trouble('noting how large a call may be')),
    rules: { adminId: config.app.adminId, form: config.api.form },
    onProfileFault: config.onProfileFault,
    retry: config.retry,
    random,
    allOutcomes: config.outcomes === 'all',
    signAnew: api.signAnewInDoubt,
    readSecretAnew: api.signAnew,
    report: allOf(
      [ops.report, createDeliveryLog(log, (returned) => returned > 0 && nudge())],
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
    const ofCommand = calls.filter((call) => call.command === command);
    await queues.add(
      command,
      ofCommand.map(({ callId }) => callId),
    );
  }
}

function probing({ pacing, api, connections, keys, ops, random, log }: Parts): Prober {
  const redis = connections.commands;
  const prober = new Prober({
    client: api.client,
    slots: pacing.checkLimiter.slots,
    watch: pacing.watch,
    hold: pacing.hold,
    signAnew: api.signAnew,
    random,
    waitingUsers: () => waitingUsers(redis, keys, random()),
    onProbe: (verdict, answer, durationMs) => {
      ops.probed('account_check', verdict, answer, durationMs);
      const { errorCode, errorInfo, meaning } = verdict;
      log.info({ command: 'account_check', errorCode, errorInfo }, `probe of the hold answered: ${meaning}`);
    },
    onTrouble: connections.log.trouble('probing a hold'),
  });
  prober.start();
  return prober;
}

function sweeping({ config, connections, keys, ops, log }: Parts, queues: CallQueues) {
  const logSweep = createSweepLog(log);
  return startSweeper({
    sweepOnce: () => sweep(connections.commands, keys, queues, config.retry.maxMs),
    everyMs: SWEEP_EVERY_MS,
    onSwept: (swept) => {
      ops.swept(swept);
      logSweep(swept);
    },
    onTrouble: connections.log.trouble('the sweep'),
  });
}
