import { randomUUID } from 'node:crypto';
import { type CallWorker, startCallWorker } from '../calls/bullmq/call-worker.ts';
import { openCallQueues } from '../calls/bullmq/queues.ts';
import { createLocalCalls } from '../calls/local-calls.ts';
import { startSweeper, sweep } from '../calls/sweep.ts';
import type { Config } from '../config/config.ts';
import { createAdmission } from '../delivery/admission.ts';
import { allOf } from '../delivery/all-reports.ts';
import { createBodyLimit } from '../delivery/body-limit.ts';
import { deliver, deliverLocal } from '../delivery/deliver.ts';
import type { DeliveryOptions } from '../delivery/delivery-options.ts';
import { askEarly, type EarlySlot } from '../delivery/early-slot.ts';
import { createChance } from '../delivery/policy/chance.ts';
import { startProber } from '../delivery/prober.ts';
import { trackRefusalRate } from '../delivery/refusal-rate.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { createCallClaims } from '../intake/call-claims.ts';
import { startCoalescer } from '../intake/coalescer.ts';
import type { CutCall } from '../intake/cut.ts';
import { keepCallsAlive } from '../ledger/keep-alive.ts';
import { waitingUsers } from '../ledger/waiting-users.ts';
import { createDeliveryLog } from '../logging/delivery-log.ts';
import { createSweepLog } from '../logging/health-log.ts';
import type { Logger } from '../logging/log.ts';
import { runningDeadline, type WatchedLoop } from '../ops/liveness.ts';
import { ratePerSecond } from '../pace/budget.ts';
import type { Keys } from '../redis/keys.ts';
import type { Api } from './api.ts';
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
/**
 * Of each kind (calls in hand are one); a record is ready some milliseconds after it is asked for, and slots are 5 ms apart
 * at the least.
 */
const READY = { places: 12, patienceMs: 3_000 };

export function startCalls(options: {
  readonly config: Config;
  readonly capacity: Capacity;
  /** Of this process. */
  readonly id: string;
  readonly connections: Connections;
  readonly keys: Keys;
  readonly pacing: Pacing;
  readonly api: Api;
  readonly ops: Servers['ops'];
  readonly random: () => number;
  readonly log: Logger;
}): Calls {
  const { config, capacity, id, connections, keys, pacing, api, ops, random, log } = options;
  const { batch, single, commands } = capacity;
  const { hold, watch, limiters, checkLimiter, slotQueues } = pacing;
  const { client, signAnew } = api;
  const redis = connections.commands;
  const { trouble } = connections.log;
  const queues = openCallQueues(redis, keys, commands, trouble('the call queue'));
  const handOver = async (calls: readonly CutCall[]): Promise<void> => {
    for (const command of commands) {
      await queues.add(
        command,
        calls.filter((call) => call.command === command).map(({ callId }) => callId),
      );
    }
  };
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
  const room = createAdmission({ ...READY, nowMs: () => performance.now() });
  watch.onChange(() => room.stirred());
  let expected: { readonly run: string; readonly slot: EarlySlot } | undefined;
  const coalescer = startCoalescer({
    redis,
    blocking: connections.intake,
    keys,
    limits: {
      batchCommand: batch,
      singleCommand: single,
      maxUsers: capacity.usersInRecord,
      maxWaitMs: config.batch.maxWaitMs,
      eagerCalls: config.batch.eagerShare * ratePerSecond(capacity.quota(batch)),
      eagerGapMs: 1_000 / ratePerSecond(capacity.quota(batch)),
      maxOpenCalls: Math.max(2, capacity.openRecords(batch)),
      alone: config.api.form === 'legacy' ? 'profile-or-robot' : 'nobody',
    },
    processId: id,
    async place() {
      await localCalls.room();
      return room.enter('in hand');
    },
    nextClaim: createCallClaims(randomUUID),
    expectCall({ callId, run }) {
      const limiter = limiters[batch];
      const slot = limiter && askEarly(limiter, hold, callId, run);
      // Of a cut whose answer never came: what its slot stands for is nobody's.
      expected?.slot.close().catch(() => undefined);
      expected = slot && { run, slot };
      client.expectCall();
    },
    take(call, leave) {
      const early = expected?.run === call.run ? expected.slot : undefined;
      if (early !== undefined) expected = undefined;
      localCalls.take(call.record.callId, () => deliverLocal(delivery, call, leave, early));
    },
    handOver,
    onTrouble: trouble('cutting calls'),
  });
  watch.onChange(() => coalescer.nudge());
  const delivery: DeliveryOptions = {
    redis,
    keys,
    client,
    limiters: { ...limiters, account_check: checkLimiter },
    hold,
    watch,
    commands: { form: config.api.form, batch, single },
    room,
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
    readSecretAnew: signAnew,
    report: allOf(
      [ops.report, createDeliveryLog(log, (returned) => returned > 0 && coalescer.nudge())],
      trouble('a report'),
    ),
  };
  const prober = startProber({
    client,
    slots: checkLimiter.slots,
    watch,
    hold,
    signAnew,
    random,
    waitingUsers: () => waitingUsers(redis, keys, random()),
    onProbe: (verdict, answer, durationMs) => {
      ops.probed('account_check', verdict, answer, durationMs);
      const { errorCode, errorInfo, meaning } = verdict;
      log.info({ command: 'account_check', errorCode, errorInfo }, `probe of the hold answered: ${meaning}`);
    },
    onTrouble: trouble('probing a hold'),
  });
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
  const saySwept = createSweepLog(log);
  const sweeper = startSweeper({
    sweepOnce: () => sweep(redis, keys, queues, config.retry.maxMs),
    everyMs: SWEEP_EVERY_MS,
    onSwept: (swept) => {
      ops.swept(swept);
      saySwept(swept);
    },
    onTrouble: trouble('the sweep'),
  });
  return {
    loops: [
      { name: 'coalescer', deadline: coalescer.deadline },
      { name: 'calls in hand', deadline: localCalls.deadline },
      { name: 'sweeper', deadline: sweeper.deadline },
      { name: 'prober', deadline: prober.deadline },
      ...slotQueues.map(({ command, slotQueue }) => ({
        name: `slot queue of ${command}`,
        deadline: slotQueue.deadline,
      })),
      ...workers.map((worker, i) => ({
        name: `call worker of ${commands[i]}`,
        deadline: runningDeadline(worker, performance.now.bind(performance)),
      })),
    ],
    async close() {
      const ended = [coalescer, sweeper, prober].map((loop) => loop.close());
      // Workers first, so that nothing new is fetched while those who wait for a slot leave. They must leave before the
      // coalescer is waited for: it may wait for their places.
      ended.push(...workers.map((worker) => worker.close()));
      room.close();
      for (const { slotQueue } of slotQueues) slotQueue.close();
      await Promise.all(ended);
      await localCalls.close();
      await queues.close();
    },
  };
}
