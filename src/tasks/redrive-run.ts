import { setTimeout as sleep } from 'node:timers/promises';
import { CallQueues } from '../calls/bullmq/queues.ts';
import type { Config } from '../config/config.ts';
import { newestDeathMs } from '../ledger/letters/letter-store.ts';
import {
  beginRun,
  forgetStop,
  listRuns,
  noteRun,
  plannedRun,
  type RedriveRun,
  SIGN_EVERY_MS,
  stopRequested,
} from '../ledger/letters/redrive-history.ts';
import { commandPair, quotaOf } from '../pace/budget.ts';
import type { AppRedis } from '../redis/keys.ts';
import { createMemoryWatermark, hasRoomForBulk } from '../redis/memory-watermark.ts';
import { operatorName } from './activity.ts';
import {
  dryRun as dryRunOf,
  maxOpenRedrives,
  type RedriveOptions,
  type RedriveReport,
  redrive,
} from './redrive.ts';
import { deadOnes, lettersOf, previewsOf, RunRefusedError, type RunRequest } from './redrive-letters.ts';

/**
 * A run is one redrive by an operator, as the history keeps it: it begins or resumes, finds its letters,
 * redrives them and records how far it has come.
 */

export interface RunOptions extends Pick<RedriveOptions, 'redis' | 'keys' | 'maxFailedShare' | 'onProgress'> {
  readonly config: Config;
  readonly request: RunRequest;
  readonly dryRun: boolean;
  /** Hosted mode: the password that the users get. */
  readonly password: string | undefined;
  readonly signal: AbortSignal;
  /** Who redrives, for the history. Default: user and machine, after the request's `as`. */
  readonly by?: string;
  /** Told when the run is in the history, before its first letter. Not for a dry run. */
  readonly onBegun?: (run: RedriveRun) => void;
  /** Receives a sentence when the history cannot be written. */
  readonly say: (text: string) => void;
}

/**
 * Redrives the letters. `runId` is undefined for a dry run. Throws RunRefusedError; rejects when Redis fails.
 */
export async function runRedrive(
  options: RunOptions,
): Promise<{ report: RedriveReport; runId: string | undefined }> {
  const { config, redis, keys, request, dryRun, password, maxFailedShare, onProgress } = options;
  const { batch, single } = commandPair(config.api.form);
  const named = request.eventIds.length > 0 ? await deadOnes(options, request.eventIds) : undefined;
  const run = await openRun(options, request, dryRun, options.by ?? operatorName(request.as));
  if (!dryRun) options.onBegun?.(run);
  // It may be stopped from another process.
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const recorder = dryRun
    ? undefined
    : createRunRecorder(options, run, options.say, async () => {
        if ((await stopRequested(options, run.id)) !== null) stop.abort();
      });
  const memory = createMemoryWatermark(redis, keys);
  const queues = new CallQueues(redis, keys, [...new Set([batch, single])], () => undefined);
  try {
    const redriveOptions: RedriveOptions = {
      redis,
      keys,
      queues,
      request: {
        by: run.by,
        batchCommand: batch,
        singleCommand: single,
        maxOpenCalls: maxOpenRedrives(quotaOf(config, batch)),
        dryRun,
        early: request.force || run.force,
        invalid: (request.filter.reason ?? run.filter.reason) === 'invalid',
        ...(password !== undefined && { password }),
      },
      allowOddIds: config.allowOddIds,
      maxUsers: config.batch.maxSize,
      usersPerSecond: request.rate ?? run.rate ?? Number.POSITIVE_INFINITY,
      maxFailedShare,
      hasRoom: async () => hasRoomForBulk(await memory.look()),
      signal,
      onProgress: (soFar) => {
        onProgress(soFar);
        recorder?.progress(soFar);
      },
      sleep: (ms) => sleep(ms, undefined, { signal }).catch(() => undefined),
    };
    const previews = dryRun && named === undefined ? previewsOf(options, run, request) : undefined;
    const report =
      previews === undefined
        ? await redrive(redriveOptions, named ?? lettersOf(options, run, request))
        : await dryRunOf(redriveOptions, previews);
    await recorder?.end(report);
    return { report, runId: dryRun ? undefined : run.id };
  } catch (error) {
    await recorder?.fail(error as Error);
    throw error;
  } finally {
    await queues.close();
  }
}

/** Begins a run or resumes one. A resumed run keeps its filter and skips letters that it has redriven. */
async function openRun(app: AppRedis, request: RunRequest, dryRun: boolean, by: string): Promise<RedriveRun> {
  const { filter, eventIds, file, rate, force, resume } = request;
  if (resume !== undefined) {
    const run = await resumableRun(app, resume, file !== undefined);
    // A stop that was meant for it before it ended.
    await forgetStop(app, run.id);
    return { ...run, by, state: 'running', why: null };
  }
  const { state: _state, userId, asOfMs: _asOf, ...rest } = filter;
  const begun = {
    by,
    filter: {
      ...rest,
      ...(userId !== undefined && { user: true as const }),
      ...(eventIds.length > 0 && { eventIds: eventIds.length }),
      ...(file !== undefined && { file: true as const }),
    },
    rate: rate ?? null,
    force,
    asOf: await newestDeathMs(app),
  };
  return dryRun ? plannedRun(begun) : beginRun(app, begun);
}

async function resumableRun(app: AppRedis, id: string, hasFile: boolean): Promise<RedriveRun> {
  const run = (await listRuns(app)).find((known) => known.id === id);
  if (run === undefined)
    throw new RunRefusedError(`There is no redrive ${id}. imsync dlq redrives lists the redrives.`);
  if (run.state === 'running')
    throw new RunRefusedError(`Redrive ${id} is running (${run.by}). Nothing was redriven.`);
  if (run.filter.user === true || run.filter.eventIds !== undefined)
    throw new RunRefusedError(
      `Redrive ${id} was for letters named one by one, and their names are not stored. Name them again.`,
    );
  if ((run.filter.file === true) !== hasFile)
    throw new RunRefusedError(
      run.filter.file === true
        ? `Redrive ${id} took its letters from a file. Give the file again with --file.`
        : `Redrive ${id} did not take its letters from a file. Leave --file out.`,
      true,
    );
  return run;
}

/**
 * Writes into the history how far a run has come. A history that cannot be written does not stop the redrive:
 * `say` receives the reason, once per reason.
 */
export function createRunRecorder(
  app: AppRedis,
  run: RedriveRun,
  say: (text: string) => void,
  onWritten: () => Promise<void> = async () => undefined,
) {
  let last = run;
  let writtenAtMs = performance.now();
  let writing: Promise<unknown> = Promise.resolve();
  let lastProblem = '';
  const write = (change: Partial<RedriveRun>): Promise<unknown> => {
    last = { ...last, ...change };
    const written = last;
    writing = writing
      .then(() => noteRun(app, written))
      .then(onWritten)
      .catch(({ message }: Error) => {
        if (message !== lastProblem)
          say(`The progress of redrive ${run.id} could not be recorded: ${message}`);
        lastProblem = message;
      });
    return writing;
  };
  const soFar = ({ letters, users, calls, imported, failed }: RedriveReport): Partial<RedriveRun> => ({
    letters: run.letters + letters,
    users: run.users + users,
    calls: run.calls + calls,
    imported: run.imported + imported,
    failed: run.failed + failed,
  });
  return {
    /** Writes at most once in SIGN_EVERY_MS. */
    progress(report: RedriveReport): void {
      if (performance.now() - writtenAtMs < SIGN_EVERY_MS) return;
      writtenAtMs = performance.now();
      write(soFar(report));
    },
    end(report: RedriveReport): Promise<unknown> {
      const { givenUp } = report;
      const state = givenUp === null ? 'done' : givenUp === 'interrupted' ? 'interrupted' : 'stopped';
      return write({ ...soFar(report), state, why: state === 'stopped' ? givenUp : null });
    },
    fail: (error: Error) => write({ state: 'interrupted', why: error.message.slice(0, 200) }),
  };
}
