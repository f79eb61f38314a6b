import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type CallWorker, startCallWorker } from './calls/call-worker.ts';
import { openCallQueues } from './calls/queues.ts';
import type { Config } from './config/config.ts';
import type { ReadFile } from './config/read-file.ts';
import { readSecrets } from './config/secrets.ts';
import { watchCulprits } from './delivery/culprits.ts';
import { type DeliveryOptions, deliver } from './delivery/deliver.ts';
import type { Line } from './delivery/place-call.ts';
import { startProber } from './delivery/prober.ts';
import type { DeliveryCommand, ImportCommand } from './im/bodies.ts';
import { createImClient } from './im/client.ts';
import { baseUrlsOf } from './im/regions.ts';
import { createSigner } from './im/signer.ts';
import { createSigningClock } from './im/signing-clock.ts';
import { startCoalescer } from './intake/coalescer.ts';
import type { CutCall } from './intake/cut.ts';
import { startSweeper, sweep } from './intake/sweep.ts';
import { waitingUsers } from './ledger/waiting-users.ts';
import { type Quota, ratePerSecond, spacingMicros } from './pace/budget.ts';
import { createDispenser, type Dispenser } from './pace/dispenser.ts';
import { createHoldState } from './pace/hold-state.ts';
import { watchHold } from './pace/hold-watch.ts';
import { commandPair, quotaOf, quotasOf } from './pace/quotas.ts';
import { createRedisClock } from './pace/redis-clock.ts';
import { createSlotBook } from './pace/slot.ts';
import { redisAdvice } from './redis/advice.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from './redis/connect.ts';
import { keysOf } from './redis/keys.ts';
import { createMemoryMark } from './redis/memory-mark.ts';
import { writeNothing } from './redis/owner.ts';
import { readServerFacts, redisProblems } from './redis/requirements.ts';
import { redisSettings } from './redis/settings.ts';
import { logClock } from './server/clock-log.ts';
import { startHeartbeat } from './server/heartbeat.ts';
import { startHoldHerald } from './server/hold-herald.ts';
import { type Intake, openIntake } from './server/intake.ts';
import { createUserLookup } from './server/intake-find.ts';
import { ListenError } from './server/listen-problem.ts';
import { runningPulse } from './server/liveness.ts';
import type { Logger } from './server/log.ts';
import { startMemoryHerald } from './server/memory-herald.ts';
import { openOps } from './server/ops.ts';
import { startPresence } from './server/presence.ts';
import { createRateHerald } from './server/rate-herald.ts';
import { createRedisLog } from './server/redis-log.ts';
import { logReport } from './server/report-log.ts';
import { allOf } from './server/reports.ts';
import { logSwept } from './server/sweep-log.ts';
import { createAccountChecks } from './tasks/account-checks.ts';

/** A dependency that did not answer at the start. */
export class OutOfReachError extends Error {
  override readonly name = 'OutOfReachError';
}

/** A dependency that answers, but must not be used as it is. */
export class UnfitError extends Error {
  override readonly name = 'UnfitError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join(' '));
    this.problems = problems;
  }
}

export interface RunningWorker {
  readonly id: string;
  /** Finishes what is on the wire, leaves the rest to others; resolves when all is closed. Twice is once. */
  stop(): Promise<void>;
}

const REDIS_START_MS = 10_000;
const SIGNATURE_LIFE_SECONDS = 7 * 86_400;
/** Seconds of budget that may stand open as calls, over the fleet; beyond that events wait in the stream. */
const OPEN_SECONDS = 2;
/**
 * Records that one process works on at a time: as many as may stand open, so that no new call waits for a worker
 * while others are split or resolved.
 */
const CONCURRENCY = { atLeast: 8, atMost: 200 };
/**
 * Users in a record of hosted mode, where each has a call of their own (docs/decisions, hosted mode): enough to
 * make jobs cheap, few enough to leave little behind when a worker dies.
 */
const HOSTED_RECORD_USERS = 20;
const SWEEP_EVERY_MS = 5_000;

/** Builds one worker process and starts it in order. Rejects with OutOfReachError or UnfitError. */
export async function startWorker(options: {
  readonly config: Config;
  readonly readFile: ReadFile;
  readonly version: string;
  readonly log: Logger;
  readonly random?: () => number;
  /** Stand in for the hosts that the configuration leads to. */
  readonly hosts?: { readonly baseUrl: string; readonly backupUrl: string };
}): Promise<RunningWorker> {
  const { config, readFile, version, log, hosts, random = Math.random } = options;
  const id = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  const keys = keysOf(config.app.sdkAppId);
  const { batch, single } = commandPair(config.api.form);
  const commands = [...new Set<ImportCommand>([batch, single])];
  const quotas = quotasOf(config);
  const isHosted = config.api.form === 'hosted';
  const callsInRecord = isHosted ? HOSTED_RECORD_USERS : 1;
  const openRecords = (command: ImportCommand): number =>
    Math.ceil((OPEN_SECONDS * ratePerSecond(quota(command))) / callsInRecord);
  const quota = (command: ImportCommand): Quota => {
    const found = quotas[command];
    if (found === undefined)
      throw new RangeError(`no quota is known for ${command}: a bug, please report it`);
    return found;
  };

  // Redis first: whatever else is wrong, nothing can be done without it.
  const settings = redisSettings(config, readFile);
  const connections: RedisClient[] = [];
  const redisLog = createRedisLog(log);
  const { trouble } = redisLog;
  const open = (name: string, role: 'loop' | 'oneshot' = 'loop'): RedisClient => {
    const said = name === 'commands' ? redisLog.connection : () => undefined;
    const client = openRedis(settings, role, name, said);
    connections.push(client);
    return client;
  };
  const closeConnections = async (): Promise<void> => {
    await Promise.all(connections.map(closeRedis));
  };
  const redis = open('commands');
  const giveUp = async (error: Error): Promise<never> => {
    redisLog.close();
    await closeConnections();
    throw error;
  };
  try {
    await whenReady(redis, REDIS_START_MS);
  } catch (error) {
    const reason = (error as Error).message;
    return giveUp(new OutOfReachError(`Redis cannot be reached: ${reason}. ${redisAdvice(reason)}`));
  }
  // A user without the rights, or a replica: better said now than by every loop.
  const facts = await writeNothing(redis, keys)
    .then(() => readServerFacts(redis, keys))
    .catch((error: Error) =>
      giveUp(new OutOfReachError(`Redis refused: ${error.message}. ${redisAdvice(error.message)}`)),
    );
  const problems = redisProblems(facts, config.redis.allowVolatile);
  if (problems.length > 0) return giveUp(new UnfitError(problems));

  // The ops server has its port before any work is taken: a port in use must not cost a start and a stop.
  const heartbeat = startHeartbeat({ ping: () => writeNothing(redis, keys), onChange: redisLog.heartbeat });
  const unheld = (error: unknown): Promise<never> => {
    heartbeat.close();
    return giveUp(error instanceof ListenError ? new UnfitError([error.message]) : (error as Error));
  };
  const opsRedis = open('ops', 'oneshot');
  const ops = await openOps({ config, redis: opsRedis, keys, version, heartbeat, log }).catch(unheld);
  // It needs nothing of this process but Redis: what it accepts is worked off by any worker.
  const lookup = createUserLookup({
    ...{ redis: opsRedis, keys },
    whyNot: isHosted ? 'IMSYNC_API=hosted has no call for it' : 'the worker is starting',
  });
  const openIntakeIfWanted = async (): Promise<Intake | undefined> => {
    const { port } = config.intake;
    if (port === null) return undefined;
    return openIntake({
      config: { ...config, intake: { ...config.intake, port } },
      memory: createMemoryMark(opsRedis, keys),
      registry: ops.registry,
      findUser: (userId) => lookup.find(userId),
      ...{ readFile, version, heartbeat, log },
    });
  };
  const intake = await openIntakeIfWanted().catch(async (error: unknown) => {
    await ops.close();
    return unheld(error);
  });

  // Pace.
  const clock = createRedisClock();
  const watch = await watchHold(open('watch'), keys);
  const hold = createHoldState(redis, keys);
  const dispensers: Dispenser[] = [];
  const lineOf = (command: DeliveryCommand): Line => {
    const book = createSlotBook(redis, keys, command, clock, spacingMicros(quotaOf(config, command)));
    const dispenser = createDispenser({
      book,
      watch,
      onUnusedProbe: (slot) => hold.missed(slot),
      onTrouble: trouble('asking for call slots'),
    });
    dispensers.push(dispenser);
    return { command, book, dispenser };
  };
  const lines = Object.fromEntries(commands.map((command) => [command, lineOf(command)]));
  const checkLine = lineOf('account_check');

  // The API.
  const signingClock = createSigningClock(Date.now);
  const signer = createSigner({
    sdkAppId: config.app.sdkAppId,
    adminId: config.app.adminId,
    readSecret: () => {
      const { secretKey, userSig } = readSecrets(config, readFile);
      return userSig === undefined ? { secretKey: secretKey ?? '' } : { userSig };
    },
    nowMs: signingClock.nowMs,
    expireSeconds: SIGNATURE_LIFE_SECONDS,
  });
  const client = createImClient({
    ...(hosts ??
      (config.api.baseUrl === '' ? baseUrlsOf(config.api.region) : { baseUrl: config.api.baseUrl })),
    onSwitch: ({ from, to, why }) =>
      log.warn(
        { from: new URL(from).host, to: new URL(to).host },
        why === 'trial'
          ? "the region's main host is tried again"
          : 'the host gives no connections: calls go to the other host of the region',
      ),
    sdkAppId: config.app.sdkAppId,
    adminId: config.app.adminId,
    userSig: () => signer.current(),
    callTimeoutMs: config.api.callTimeoutMs,
  });

  // Calls, from the intake to the end of each event.
  const queues = openCallQueues(redis, keys, commands, trouble('the call queue'));
  const coalescer = startCoalescer({
    redis,
    blocking: open('intake'),
    keys,
    limits: {
      batchCommand: batch,
      singleCommand: single,
      maxUsers: isHosted ? HOSTED_RECORD_USERS : config.batch.maxSize,
      maxWaitMs: config.batch.maxWaitMs,
      eagerCalls: config.batch.eagerShare * ratePerSecond(quota(batch)),
      maxOpenCalls: Math.max(2, openRecords(batch)),
      alone: config.api.form === 'legacy' ? 'profile-or-robot' : 'robot',
    },
    processId: id,
    handOver: (calls) => handOver(calls),
    onTrouble: trouble('cutting calls'),
  });
  watch.onChange(() => coalescer.nudge());
  const handOver = async (calls: readonly CutCall[]): Promise<void> => {
    for (const command of commands) {
      await queues.add(
        command,
        calls.filter((call) => call.command === command).map(({ callId }) => callId),
      );
    }
  };
  const delivery: DeliveryOptions = {
    redis,
    keys,
    client,
    lines: { ...lines, account_check: checkLine },
    hold,
    watch,
    commands: { form: config.api.form, batch, single },
    overrides: config.verdicts,
    culprits: watchCulprits(redis, keys, trouble('counting refused users')),
    rules: { adminId: config.app.adminId, hosted: isHosted },
    onProfileFault: config.onProfileFault,
    retry: config.retry,
    random,
    allOutcomes: config.outcomes === 'all',
    signAnew: () => {
      signingClock.doubt();
      signer.renew();
    },
    readSecretAnew: () => signer.renew(),
    report: allOf(
      [ops.report, logReport(log, (returned) => returned > 0 && coalescer.nudge())],
      trouble('a report'),
    ),
  };
  if (!isHosted) {
    lookup.askThrough(
      createAccountChecks({
        ...{ client, watch, random },
        line: checkLine,
        slotClass: 'live',
        otherBooks: Object.values(lines).map(({ book }) => book),
        overrides: config.verdicts,
        signAnew: () => signer.renew(),
        maxFailures: 2,
        report: { again() {}, answered() {} },
      }),
    );
  }
  const callBroke = trouble('a call (it is kept and will be made again)');
  const prober = startProber({
    client,
    book: checkLine.book,
    watch,
    hold,
    signAnew: () => signer.renew(),
    random,
    waitingUsers: () => waitingUsers(redis, keys, random()),
    onProbe: (verdict, answer, durationMs) => {
      ops.probed('account_check', verdict, answer, durationMs);
      const { errorCode, errorInfo, meaning } = verdict;
      log.info({ command: 'account_check', errorCode, errorInfo }, `probe of the hold answered: ${meaning}`);
    },
    onTrouble: trouble('probing a hold'),
  });
  startHoldHerald({ hold, watch, redis, keys, log, onTrouble: trouble('reading the hold') });
  const callWorkers: CallWorker[] = commands.map((command) =>
    startCallWorker({
      command,
      connection: redis,
      keys,
      concurrency: Math.min(CONCURRENCY.atMost, Math.max(CONCURRENCY.atLeast, openRecords(command))),
      run: (callId) => deliver(delivery, callId),
      onFailed: (_callId, error) => {
        ops.runFailed(command);
        callBroke(error);
      },
      onTrouble: trouble('the call worker'),
    }),
  );
  const saySwept = logSwept(log);
  const sweeper = startSweeper({
    sweepOnce: () => sweep(redis, keys, queues, config.retry.maxMs),
    everyMs: SWEEP_EVERY_MS,
    onSwept: (swept) => {
      ops.swept(swept);
      saySwept(swept);
    },
    onTrouble: trouble('the sweep'),
  });
  const sayRates = createRateHerald(
    Object.values(lines).map(({ command, book }) => ({ command, book, quota: quotaOf(config, command) })),
    log,
  );
  const sayClock = logClock(log);
  const presence = startPresence({
    redis,
    keys,
    id,
    version,
    onForgotten: () =>
      log.error(
        'Redis has lost what it held: it was emptied, or put back to an earlier state. Events that waited or were in ' +
          'calls are gone, with the books, the dead letters and a pause. Work goes on; push again what is missing',
      ),
    intakeUrl: intake?.url,
    alongside: sayRates,
    onClock: (aheadMs) => {
      signingClock.isAhead(aheadMs);
      sayClock(aheadMs);
    },
    onTrouble: trouble('the sign of life'),
  });

  const memoryHerald = startMemoryHerald(
    createMemoryMark(redis, keys),
    log,
    trouble("a look at Redis's memory"),
  );

  ops.started([
    { name: 'coalescer', pulse: coalescer.pulse },
    { name: 'sweeper', pulse: sweeper.pulse },
    { name: 'prober', pulse: prober.pulse },
    ...dispensers.map(({ pulse }, i) => ({
      name: `dispenser of ${[...commands, 'account_check'][i]}`,
      pulse,
    })),
    ...callWorkers.map((worker, i) => ({
      name: `call worker of ${commands[i]}`,
      pulse: runningPulse(worker, performance.now.bind(performance)),
    })),
  ]);
  log.info(
    {
      workerId: id,
      version,
      redis: facts.version,
      api: config.api.baseUrl === '' ? config.api.region : new URL(config.api.baseUrl).host,
      form: config.api.form,
      quota: quota(batch).perSecond,
      startedPerSecond: Math.round(100 * ratePerSecond(quota(batch))) / 100,
    },
    'worker started',
  );

  const stopOnce = async (): Promise<void> => {
    ops.stopping();
    redisLog.close();
    memoryHerald.close();
    const intakeClosed = intake?.close();
    log.info('worker is stopping: calls on the wire are finished, the rest is left to others');
    await Promise.all([coalescer.close(), sweeper.close(), prober.close(), presence.close()]);
    // Workers first, so that nothing new is fetched while those who wait for a slot leave.
    const ended = callWorkers.map((worker) => worker.close());
    for (const dispenser of dispensers) dispenser.close();
    await Promise.all([...ended, intakeClosed]);
    await queues.close();
    client.close();
    heartbeat.close();
    await ops.close();
    await closeConnections();
    log.info('worker stopped');
  };
  let stopped: Promise<void> | undefined;
  return {
    id,
    stop: () => {
      stopped ??= stopOnce();
      return stopped;
    },
  };
}
