import { createReadStream } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { StoredLetter } from '../../ledger/letters/dead-letters.ts';
import type { LetterFilter } from '../../ledger/letters/letter-filter.ts';
import { listDeadLetters, newestDeathMs } from '../../ledger/letters/letter-store.ts';
import {
  beginRun,
  listRuns,
  noteRun,
  plannedRun,
  type RedriveRun,
  SIGN_EVERY_MS,
} from '../../ledger/letters/redrive-history.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { namedLetters, nameIn } from '../../tasks/named-letters.ts';
import type { RedriveReport } from '../../tasks/redrive.ts';
import { CliError, EXIT } from '../fail.ts';

/** Which letters, as they were asked for. */
export interface Asked {
  readonly filter: LetterFilter;
  readonly eventIds: readonly string[];
  readonly file?: string;
  readonly rate?: number;
  readonly force: boolean;
  readonly as?: string;
  /** Go on with this run. */
  readonly resume?: string;
}

/** The run as the history keeps it; nobody asks twice for the same letters when it is taken up again. */
export async function takeUp(
  redis: RedisClient,
  keys: Keys,
  asked: Asked,
  dryRun: boolean,
): Promise<RedriveRun> {
  const { filter, eventIds, file, rate, force, as, resume } = asked;
  const by = as === undefined ? askedBy() : `${as} (${askedBy()})`;
  if (resume !== undefined) {
    const runs = await listRuns(redis, keys);
    const run = runs.find(({ id }) => id === resume);
    if (run === undefined)
      throw new CliError(
        EXIT.failed,
        `there is no redrive ${resume}; imsync dlq redrives shows those there are`,
      );
    if (run.state === 'running')
      throw new CliError(EXIT.failed, `${resume} is running (${run.by}): nothing was redriven`);
    if (run.filter.user === true || run.filter.eventIds !== undefined)
      throw new CliError(
        EXIT.failed,
        `${resume} was about letters named one by one, which are not remembered: name them again`,
      );
    if ((run.filter.file === true) !== (file !== undefined))
      throw new CliError(
        EXIT.usage,
        run.filter.file === true
          ? `${resume} took its letters from a file: give it again with --file`
          : `${resume} took its letters from no file: leave --file out`,
      );
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

/** The letters of a run. `onUnnamed` hears of names in a file that stand for none. */
export function lettersOf(
  redis: RedisClient,
  keys: Keys,
  run: Pick<RedriveRun, 'asOf' | 'filter' | 'letters'>,
  asked: Pick<Asked, 'filter' | 'file'>,
  onUnnamed: () => void,
): AsyncIterable<StoredLetter> {
  const { user: _user, eventIds: _ids, file: _file, limit, ...rest } = run.filter;
  const { userId } = asked.filter;
  const filter = {
    state: 'dead',
    ...rest,
    ...(userId !== undefined && { userId }),
    ...(limit !== undefined && { limit: limit - run.letters }),
    asOfMs: run.asOf,
  } as const;
  if (asked.file === undefined) return listDeadLetters(redis, keys, filter);
  return namedLetters(redis, keys, namesIn(asked.file), filter, onUnnamed);
}

/**
 * Says now and then that the run lives, and how far it is. A redrive does not end for its history: `say` hears that it
 * could not be written.
 */
export function signsOfLife(
  redis: RedisClient,
  keys: Keys,
  run: RedriveRun,
  say: (text: string) => void,
): {
  tell(report: RedriveReport): void;
  end(report: RedriveReport): Promise<void>;
  /** It ended by an error. */
  broke(error: Error): Promise<void>;
} {
  let last = run;
  let saidAtMs = performance.now();
  let saying: Promise<unknown> = Promise.resolve();
  let lastProblem = '';
  const note = async (noted: RedriveRun): Promise<void> => {
    try {
      await noteRun(redis, keys, noted);
    } catch (error) {
      const { message } = error as Error;
      if (message !== lastProblem)
        say(`how far redrive ${run.id} has come could not be written down: ${message}`);
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
    tell(report) {
      if (performance.now() - saidAtMs < SIGN_EVERY_MS) return;
      saidAtMs = performance.now();
      last = soFar(report);
      saying = saying.then(() => note(last));
    },
    async end(report) {
      await saying;
      const { givenUp } = report;
      const state = givenUp === null ? 'done' : givenUp === 'interrupted' ? 'interrupted' : 'stopped';
      const why = state === 'stopped' ? givenUp : null;
      await note({ ...soFar(report), state, why });
    },
    async broke(error) {
      await saying;
      const why = error.message.slice(0, 200);
      await note({ ...last, state: 'interrupted', why });
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
    throw new CliError(EXIT.usage, `${file} cannot be read: ${message}. Check its name and rights.`);
  }
}

/** For the history, of letters and of redrives. */
function askedBy(): string {
  let name: string;
  try {
    name = userInfo().username;
  } catch {
    // A container's user may have no name.
    name = String(process.getuid?.() ?? 'unknown');
  }
  return `${name}@${hostname()}`;
}
