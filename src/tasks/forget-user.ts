import { randomUUID } from 'node:crypto';
import { LANDING_MS } from '../delivery/policy/backoff.ts';
import { type TakenOut, takeOffStream, takeOut } from '../ledger/forget/forget.ts';
import { deleteLetters, listDeadLetters } from '../ledger/letters/letter-store.ts';
import { namedUser } from '../ledger/record.ts';
import type { AppRedis } from '../redis/keys.ts';

/** What of a user was found and erased. In a dry run: what would be erased. */
export interface ForgetReport {
  readonly userId: string;
  readonly dryRun: boolean;
  /** False when something of the user is left in Redis. Then run the command again. */
  readonly complete: boolean;
  readonly erased: {
    /** Events of the user: in the stream, at the front of the intake, parked behind a call, and in a call. */
    readonly stream: number;
    readonly returned: number;
    readonly parked: number;
    readonly inCalls: number;
    /** Dead letters, resolved ones included. */
    readonly letters: number;
    /** Entries of the stream of outcomes (IMSYNC_OUTCOMES=all). */
    readonly outcomes: number;
  };
  /** One sentence for each thing that is left, with what to do. */
  readonly left: readonly string[];
  /** One sentence for each place that this project cannot erase. */
  readonly elsewhere: readonly string[];
}

/** One line for the history, which outlives the user's being forgotten: it does not name them. */
export function forgottenText({ erased, complete }: ForgetReport): string {
  const found = Object.values(erased).reduce((sum, count) => sum + count, 0);
  return `a user: ${found === 1 ? '1 trace' : `${found} traces`} erased${complete ? '' : '; something is left'}`;
}

/** Places that this command cannot reach. */
const ELSEWHERE = [
  'the account itself: delete it at the API (account_delete); nothing here will make it again',
  'your own database and queues: when they push the user again, the account is made again',
  "Redis's append-only file holds the user until it is rewritten (BGREWRITEAOF), and backups until they expire",
  'log lines at level debug, exports of dead letters and files of bulk imports: they name users, delete them yourself',
] as const;

const PAGE = 1_000;
const ASK_AGAIN_MS = 100;

export interface ForgetOptions extends AppRedis {
  readonly userId: string;
  readonly dryRun: boolean;
  readonly maxWaitMs: number;
  readonly sleep: (ms: number) => Promise<unknown>;
  readonly onWaiting?: () => void;
}

/**
 * Erases a user everywhere in Redis. Goes in the order in which events move, the stream first, so that no
 * event slips past. Dead letters come last, since events on their way may become some. An event that is
 * pushed meanwhile is a new one. Waits up to `maxWaitMs` for a call on the wire. Rejects when Redis does not
 * answer; a second run goes on from there.
 */
export async function forgetUser(options: ForgetOptions): Promise<ForgetReport> {
  const { redis, keys, userId, dryRun } = options;
  const stream = await forgetEntries(options, keys.stream, (ids) => takeOffStream(options, ids));
  const { returned, parked, inCalls, kind } = await takeOutInTime(options);
  const letters = await forgetLetters(options);
  const outcomes = await forgetEntries(options, keys.outcomes, (ids) => redis.xdel(keys.outcomes, ...ids));
  const left: string[] = [];
  if (kind === 'wire')
    left.push(
      dryRun
        ? 'the call of the user is on the wire: erasing waits until it is answered'
        : 'the call of the user was on the wire all the time: run this again when it has ended (imsync user show)',
    );
  if (kind === 'foreign')
    left.push(
      'the call of the user was written by another version of the workers: run this again when it has ended',
    );
  if (letters.left > 0) left.push(`${letters.left} dead letters changed meanwhile: run this again`);
  return {
    userId,
    dryRun,
    complete: left.length === 0,
    erased: { stream, returned, parked, inCalls, letters: letters.erased, outcomes },
    left,
    elsewhere: ELSEWHERE,
  };
}

/**
 * Takes the user out of the call, the parked and the returned events. Repeats while the call is on the wire.
 */
async function takeOutInTime(options: ForgetOptions): Promise<TakenOut> {
  const { userId, dryRun, maxWaitMs, sleep, onWaiting } = options;
  const run = `forget-${randomUUID()}`;
  const sum = { returned: 0, parked: 0, inCalls: 0 };
  const untilMs = performance.now() + maxWaitMs;
  for (;;) {
    const taken = await takeOut(options, { userId, run, landingMs: LANDING_MS, dryRun });
    sum.returned += taken.returned;
    sum.parked += taken.parked;
    sum.inCalls += taken.inCalls;
    if (dryRun || taken.kind !== 'wire' || performance.now() >= untilMs) return { ...taken, ...sum };
    onWaiting?.();
    await sleep(Math.min(taken.waitMs, ASK_AGAIN_MS));
  }
}

/** Erases a stream's entries that name the user, up to its present end. Reads it once, in pages. */
async function forgetEntries(
  { redis, userId, dryRun }: ForgetOptions,
  key: string,
  erase: (ids: readonly string[]) => Promise<number>,
): Promise<number> {
  const [newest] = await redis.xrevrange(key, '+', '-', 'COUNT', 1);
  let erased = 0;
  for (let from = '-'; newest !== undefined; ) {
    const page = await redis.xrange(key, from, newest[0], 'COUNT', PAGE);
    const own = page.filter(([, fields]) => namedUser(fields) === userId).map(([eventId]) => eventId);
    if (own.length > 0) erased += dryRun ? own.length : await erase(own);
    if (page.length < PAGE) break;
    from = `(${page.at(-1)?.[0]}`;
  }
  return erased;
}

/** Only dead letters have an index by user, so all the others are read. */
async function forgetLetters(options: ForgetOptions): Promise<{ erased: number; left: number }> {
  const { userId, dryRun } = options;
  const found = { erased: 0, left: 0 };
  for await (const letter of listDeadLetters(options, { state: 'all', userId })) {
    const [word] = dryRun ? ['deleted'] : await deleteLetters(options, [letter]);
    if (word === 'deleted') found.erased++;
    else if (word !== 'gone') found.left++;
  }
  return found;
}
