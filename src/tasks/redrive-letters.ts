import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { deathSpan, isMeant, type LetterFilter, type StoredLetter } from '../ledger/letters/dead-letters.ts';
import { listDeadLetters, readLetters } from '../ledger/letters/letter-store.ts';
import { type Preview, previewLetters } from '../ledger/letters/preview.ts';
import type { RedriveRun } from '../ledger/letters/redrive-history.ts';
import type { AppRedis } from '../redis/keys.ts';

/** What an operator asks for: which letters are redriven, and how. */
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
  constructor(message: string, isUsage = false) {
    super(message);
    this.isUsage = isUsage;
  }
}

/** The letters that were named one by one. Refuses all when one letter is not there or not dead. */
export async function deadOnes(
  app: AppRedis,
  eventIds: readonly string[],
): Promise<AsyncIterable<StoredLetter>> {
  const letters = await readLetters(app, eventIds);
  for (const eventId of eventIds) {
    const letter = letters.find((found) => found.eventId === eventId);
    if (letter?.state === 'dead') continue;
    throw new RunRefusedError(
      letter === undefined
        ? `There is no letter for event ${eventId}. Nothing was redriven.`
        : `The letter of event ${eventId} is ${letter.state}, not dead. Nothing was redriven.`,
    );
  }
  return Readable.from(letters);
}

/** The letters of a run that were not redriven yet. */
export function lettersOf(
  app: AppRedis,
  run: RedriveRun,
  request: RunRequest,
): AsyncIterable<StoredLetter | 'unnamed'> {
  const filter = filterOf(run, request);
  if (request.file === undefined) return listDeadLetters(app, filter);
  return namedLetters(app, linesOf(request.file), filter);
}

/** What a dry run looks at; undefined where it has to read the letters as a redrive does. */
export function previewsOf(
  app: AppRedis,
  run: RedriveRun,
  request: RunRequest,
): AsyncIterable<Preview> | undefined {
  const { limit, ...filter } = filterOf(run, request);
  // How many letters match, what is odd about an ID, and whether all of an event is there, only letters tell.
  if (request.file !== undefined || limit !== undefined || filter.reason === 'invalid') return undefined;
  return previewLetters(app, filter, deathSpan(filter, filter.asOfMs), request.force || run.force);
}

function filterOf(run: RedriveRun, request: RunRequest) {
  const { user: _user, eventIds: _ids, file: _file, limit, ...rest } = run.filter;
  const { userId } = request.filter;
  return {
    state: 'dead',
    ...rest,
    ...(userId !== undefined && { userId }),
    ...(limit !== undefined && { limit: limit - run.letters }),
    asOfMs: run.asOf,
  } as const;
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const input = file === '-' ? process.stdin : createReadStream(file);
  try {
    yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new RunRefusedError(`${file} cannot be read: ${message}. Check its name and permissions.`, true);
  }
}

const LETTERS_AT_A_TIME = 100;

/**
 * Reads the dead letters that the lines of a list name, by event ID or user ID, and that match the filter. A
 * user ID gives one letter, since all letters of a user are redriven together. Yields `unnamed` for each name
 * without such a letter.
 */
export async function* namedLetters(
  app: AppRedis,
  lines: AsyncIterable<string>,
  filter: LetterFilter & { readonly asOfMs: number },
): AsyncGenerator<StoredLetter | 'unnamed'> {
  const span = deathSpan(filter, filter.asOfMs);
  async function* byEventId(eventIds: readonly string[]): AsyncGenerator<StoredLetter | 'unnamed'> {
    const letters = await readLetters(app, eventIds);
    const meant = letters.filter((letter) => isMeant(letter, filter, span));
    yield* meant;
    for (let missing = eventIds.length - meant.length; missing > 0; missing--) yield 'unnamed';
  }
  const eventIds: string[] = [];
  for await (const line of lines) {
    const name = nameIn(line);
    if (/^\d{1,20}-\d{1,20}$/.test(name)) {
      eventIds.push(name);
      if (eventIds.length === LETTERS_AT_A_TIME) yield* byEventId(eventIds.splice(0));
    } else if (name !== '') {
      const { value } = await listDeadLetters(app, { ...filter, userId: name, limit: 1 }).next();
      yield value ?? 'unnamed';
    }
  }
  yield* byEventId(eventIds);
}

/** The name in a line of a list. A line of `dlq list --json` or of an export gives its event ID. */
function nameIn(line: string): string {
  const text = line.replace(/^\uFEFF/, '').trim();
  if (!text.startsWith('{')) return text;
  try {
    const { eventId } = JSON.parse(text) as { eventId?: unknown };
    return typeof eventId === 'string' ? eventId : text;
  } catch {
    return text;
  }
}
