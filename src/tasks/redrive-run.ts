import { createReadStream } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { openCallQueues } from '../calls/bullmq/queues.ts';
import type { Config } from '../config/config.ts';
import type { StoredLetter } from '../ledger/letters/dead-letters.ts';
import type { LetterFilter } from '../ledger/letters/letter-filter.ts';
import { listDeadLetters, newestDeathMs, readLetters } from '../ledger/letters/letter-store.ts';
import {
  beginRun,
  listRuns,
  noteRun,
  plannedRun,
  type RedriveRun,
  SIGN_EVERY_MS,
} from '../ledger/letters/redrive-history.ts';
import { commandPair, quotaOf } from '../pace/budget.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { createMemoryWatermark, hasRoomForBulk } from '../redis/memory-watermark.ts';
import { namedLetters, nameIn } from './named-letters.ts';
import { type RedriveReport, redrive } from './redrive.ts';
import { maxOpenRedrives } from './redrive-policy.ts';

/**
 * A run is one redrive by an operator, as the history keeps it: it begins or resumes, finds its letters,
 * redrives them and records how far it has come.
 */

/** What the operator asks for. */
export interface RunRequest {
  readonly filter: LetterFilter;
  /** Letters named one by one; then the filter does not count. */
  readonly eventIds: readonly string[];
  /** A list of event IDs or user IDs; `-` is standard input. */
  readonly file?: string;
  /** Users per second at most. */
  readonly rate?: number;
  readonly force: boolean;
  /** A name or a reason for the history. */
  readonly as?: string;
  /** The ID of the run to continue. */
  readonly resume?: string;
}

/** The run cannot do what was asked for; the message says why. `isUsage`: the request itself is wrong. */
export class RunRefusedError extends Error {
  override readonly name = 'RunRefusedError';
  readonly isUsage: boolean;
  constructor(message: string, isUsage: boolean) {
    super(message);
    this.isUsage = isUsage;
  }
}

export interface RunOptions {
  readonly config: Config;
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly request: RunRequest;
  readonly dryRun: boolean;
  /** Hosted mode: the password that the users get. */
  readonly password: string | undefined;
  /**
   * The run stops when more than this share of the users with a known result is dead again; 1 never stops it.
   */
  readonly maxFailedShare: number;
  readonly signal: AbortSignal;
  readonly onProgress: (report: RedriveReport) => void;
  /** Receives a sentence when the history cannot be written. */
  readonly say: (text: string) => void;
}

/**
 * Redrives the letters. `runId` is undefined for a dry run. Throws RunRefusedError; rejects when Redis fails.
 */
export async function runRedrive(
  options: RunOptions,
): Promise<{ report: RedriveReport; runId: string | undefined }> {
  const { config, redis, keys, request, dryRun, password, signal, onProgress, say } = options;
  const { batch, single } = commandPair(config.api.form);
  const named = request.eventIds.length > 0 ? await deadOnes(redis, keys, request.eventIds) : undefined;
  const run = await openRun(redis, keys, request, dryRun);
  const queues = openCallQueues(redis, keys, [...new Set([batch, single])], () => undefined);
  const recorder = dryRun ? undefined : createRunRecorder(redis, keys, run, say);
  const memory = createMemoryWatermark(redis, keys);
  let unnamed = 0;
  try {
    const report = await redrive(
      {
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
        maxUsers: config.batch.maxSize,
        usersPerSecond: request.rate ?? run.rate ?? undefined,
        unnamed: () => unnamed,
        maxFailedShare: options.maxFailedShare,
        hasRoom: async () => hasRoomForBulk(await memory.look()),
        signal,
        onProgress: (soFar) => {
          onProgress(soFar);
          recorder?.progress(soFar);
        },
        sleep: (ms) => sleep(ms, undefined, { signal }).catch(() => undefined),
      },
      named ?? lettersOf(redis, keys, run, request, () => unnamed++),
    );
    await recorder?.end(report);
    return { report, runId: dryRun ? undefined : run.id };
  } catch (error) {
    await recorder?.fail(error as Error);
    throw error;
  } finally {
    await queues.close();
  }
}

/** Refuses all when one letter is not there or not dead. */
async function deadOnes(
  redis: RedisClient,
  keys: Keys,
  eventIds: readonly string[],
): Promise<AsyncIterable<StoredLetter>> {
  const letters = await readLetters(redis, keys, eventIds);
  for (const eventId of eventIds) {
    const letter = letters.find((found) => found.eventId === eventId);
    if (letter?.state === 'dead') continue;
    throw new RunRefusedError(
      letter === undefined
        ? `There is no letter for event ${eventId}. Nothing was redriven.`
        : `The letter of event ${eventId} is ${letter.state}, not dead. Nothing was redriven.`,
      false,
    );
  }
  return (async function* () {
    yield* letters;
  })();
}

/** Begins a run or resumes one. A resumed run keeps its filter and skips letters that it has redriven. */
async function openRun(
  redis: RedisClient,
  keys: Keys,
  request: RunRequest,
  dryRun: boolean,
): Promise<RedriveRun> {
  const { filter, eventIds, file, rate, force, as, resume } = request;
  const by = as === undefined ? operatorName() : `${as} (${operatorName()})`;
  if (resume !== undefined) {
    const run = await resumableRun(redis, keys, resume, file !== undefined);
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
    asOf: await newestDeathMs(redis, keys),
  };
  return dryRun ? plannedRun(begun) : beginRun(redis, keys, begun);
}

async function resumableRun(
  redis: RedisClient,
  keys: Keys,
  id: string,
  hasFile: boolean,
): Promise<RedriveRun> {
  const run = (await listRuns(redis, keys)).find((known) => known.id === id);
  if (run === undefined)
    throw new RunRefusedError(`There is no redrive ${id}. imsync dlq redrives lists the redrives.`, false);
  if (run.state === 'running')
    throw new RunRefusedError(`Redrive ${id} is running (${run.by}). Nothing was redriven.`, false);
  if (run.filter.user === true || run.filter.eventIds !== undefined)
    throw new RunRefusedError(
      `Redrive ${id} was for letters named one by one, and their names are not stored. Name them again.`,
      false,
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

/** The letters of a run. `onUnnamed` is called for each name in the file that has no such letter. */
function lettersOf(
  redis: RedisClient,
  keys: Keys,
  run: RedriveRun,
  request: RunRequest,
  onUnnamed: () => void,
): AsyncIterable<StoredLetter> {
  const { user: _user, eventIds: _ids, file: _file, limit, ...rest } = run.filter;
  const { userId } = request.filter;
  const filter = {
    state: 'dead',
    ...rest,
    ...(userId !== undefined && { userId }),
    ...(limit !== undefined && { limit: limit - run.letters }),
    asOfMs: run.asOf,
  } as const;
  if (request.file === undefined) return listDeadLetters(redis, keys, filter);
  return namedLetters(redis, keys, namesIn(request.file), filter, onUnnamed);
}

/** Writes into the history how far a run has come. */
export interface RunRecorder {
  /** Writes at most once in SIGN_EVERY_MS. */
  progress(report: RedriveReport): void;
  end(report: RedriveReport): Promise<void>;
  fail(error: Error): Promise<void>;
}

/** A history that cannot be written does not stop the redrive: `say` receives the reason, once per reason. */
export function createRunRecorder(
  redis: RedisClient,
  keys: Keys,
  run: RedriveRun,
  say: (text: string) => void,
): RunRecorder {
  let last = run;
  let writtenAtMs = performance.now();
  let writing: Promise<unknown> = Promise.resolve();
  let lastProblem = '';
  const write = async (written: RedriveRun): Promise<void> => {
    try {
      await noteRun(redis, keys, written);
    } catch (error) {
      const { message } = error as Error;
      if (message !== lastProblem) say(`The progress of redrive ${run.id} could not be recorded: ${message}`);
      lastProblem = message;
    }
  };
  const soFar = ({ letters, users, calls, imported, failed }: RedriveReport): RedriveRun => ({
    ...run,
    letters: run.letters + letters,
    users: run.users + users,
    calls: run.calls + calls,
    imported: run.imported + imported,
    failed: run.failed + failed,
  });
  return {
    progress(report) {
      if (performance.now() - writtenAtMs < SIGN_EVERY_MS) return;
      writtenAtMs = performance.now();
      last = soFar(report);
      writing = writing.then(() => write(last));
    },
    async end(report) {
      await writing;
      const { givenUp } = report;
      const state = givenUp === null ? 'done' : givenUp === 'interrupted' ? 'interrupted' : 'stopped';
      const why = state === 'stopped' ? givenUp : null;
      await write({ ...soFar(report), state, why });
    },
    async fail(error) {
      await writing;
      const why = error.message.slice(0, 200);
      await write({ ...last, state: 'interrupted', why });
    },
  };
}

async function* namesIn(file: string): AsyncGenerator<string> {
  const input: Readable = file === '-' ? process.stdin : createReadStream(file);
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      const name = nameIn(line);
      if (name !== undefined) yield name;
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new RunRefusedError(`${file} cannot be read: ${message}. Check its name and permissions.`, true);
  }
}

/** User and machine, for the history of letters and of redrives. */
function operatorName(): string {
  let name: string;
  try {
    name = userInfo().username;
  } catch {
    // The user of a container may have no name.
    name = String(process.getuid?.() ?? 'unknown');
  }
  return `${name}@${hostname()}`;
}
