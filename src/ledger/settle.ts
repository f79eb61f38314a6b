import { eventIdMs, type Outcome, type RawEntry } from '../event/event.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { AppRedis, Keys } from '../redis/keys.ts';
import { askScript, loadScript } from '../redis/script.ts';
import type { Letter } from './letters/dead-letters.ts';
import { packLetter } from './letters/letter-text.ts';
import { type CallRecord, MAX_RECORD_BYTES, packEntries, RECORD_FORMAT } from './record.ts';

const settleScript = loadScript(
  import.meta.url,
  'record.lua',
  'letters/letter-index.lua',
  'letters/letter-text.lua',
  '../hold/hold-shared.lua',
  'letters/resolve-older.lua',
  'settle/letters.lua',
  'settle/release-or-keep.lua',
  'settle.lua',
);
const resolveScript = loadScript(
  import.meta.url,
  'letters/letter-index.lua',
  'letters/resolve-older.lua',
  'letters/resolve.lua',
);

/**
 * An event that ends as a dead letter. `userId` is '' unless it is well-formed; `letter` is the whole record.
 */
export interface DeadEvent extends Pick<Letter, 'eventId' | 'userId' | 'reason'> {
  readonly code: number;
  readonly letter: Partial<Letter> & Pick<Letter, 'eventId'>;
}

/** What stays in the record, to be called again at `dueAtMs`. `suspects` may name users who are gone. */
export interface Kept
  extends Pick<CallRecord, 'tries' | 'attempts' | 'suspects' | 'firstSentAtMs' | 'heldMsAtFirst'> {
  readonly entries: readonly RawEntry[];
  readonly users: number;
  /** All users who stay are suspected: their call holds up no other. */
  readonly isIsolated: boolean;
  /** ms since 1970, Redis's clock; 0: at once, by the run that goes on. */
  readonly dueAtMs: number;
  /** Calls of the record may be on the wire: who takes it over must know. */
  readonly onWire?: boolean;
}

/** Entries of the stream of outcomes, at least; Redis trims it by whole blocks, so it holds some more. */
export const OUTCOMES_KEPT = 100_000;

/** What a tally counts more of: an outcome, or `dead:<reason>`. */
export interface TallyCount {
  readonly tally: string;
  readonly name: string;
  readonly count: number;
}

/** How the events of a record ended. Together with what is kept they are all of its events. */
export interface Settlement {
  readonly imported: readonly { readonly userId: string; readonly eventId: string }[];
  /** Older events of imported users. */
  readonly superseded: number;
  readonly dead: readonly DeadEvent[];
  /** Users none of whose events stay. */
  readonly released: readonly string[];
  readonly kept: Kept | null;
  readonly publish: readonly { readonly channel: string; readonly message: string }[];
  /** Every ending of this settlement; written only where all outcomes are asked for. */
  readonly outcomes: readonly Outcome[];
  readonly tallies?: readonly TallyCount[];
  /**
   * When the newest call started in which accounts passed, ms since 1970, Redis's clock; 0 or absent: none
   * did, or the hold has been told already. It ends what went wrong in a row before, and a hold that began
   * earlier (hold/hold-shared.lua).
   */
  readonly passedAtMs?: number;
}

export type Settled =
  | {
      readonly kind: 'settled';
      readonly returned: number;
      readonly resolved: number;
      readonly nowMs: number;
      /**
       * Calls that were made of the parked events of users with many of them; of the settled record's command. Their jobs
       * are to be added; the sweep makes up for it if that fails.
       */
      readonly calls?: readonly string[];
    }
  /** Another run owns the record: nothing was changed. */
  | { readonly kind: 'lost' };

/**
 * `allOutcomes`: the endings go to the stream of outcomes as well, in the same step.
 * Rejects when events would appear or vanish (a bug of ours): the record is then as it was.
 */
export async function settleRecord(
  redis: RedisClient,
  keys: Keys,
  callId: string,
  run: string,
  settlement: Settlement,
  allOutcomes = false,
): Promise<Settled> {
  const { kept, imported, superseded, dead, released, publish, tallies = [], passedAtMs } = settlement;
  const request = {
    callId,
    run,
    ...{ format: RECORD_FORMAT, maxBytes: MAX_RECORD_BYTES, outcomesKept: OUTCOMES_KEPT },
    imported: imported.flatMap(({ userId, eventId }) => [userId, eventId]),
    superseded,
    dead: dead.map(({ letter, ...one }) => ({
      ...one,
      letter: packLetter(letter, one.userId),
      ...(letter.notBefore != null && { notBefore: letter.notBefore }),
    })),
    released,
    publish: publish.flatMap(({ channel, message }) => [channel, message]),
    tallies: tallies.flatMap(({ tally, name, count }) => [keys.tallyPrefix + tally, name, count]),
    ...(passedAtMs && { passedAt: Math.round(passedAtMs) }),
    ...(allOutcomes && {
      outcomes: settlement.outcomes.map((outcome) =>
        Object.entries(outcome).flatMap(([name, value]) => [name, String(value)]),
      ),
    }),
    ...(kept && { keep: keepRequest(kept) }),
  };
  const settle = async (more: object) => (await askScript(redis, settleScript, keys, more)) as SettleReply;
  let reply = await settle(request);
  let stepped = 0;
  if (reply[0] === 'letters') {
    const crowded = new Set(reply.slice(1));
    for (const { userId, eventId } of imported)
      if (crowded.has(userId))
        stepped += await resolveInSteps({ redis, keys }, { callId, run, userId, eventId, allOutcomes });
    reply = await settle({ ...request, isResolved: true });
  }
  if (reply[0] !== 'settled') return { kind: 'lost' };
  const [, returned, resolved, nowMs, calls] = reply;
  return { kind: 'settled', returned, resolved: resolved + stepped, nowMs: Number(nowMs), calls };
}

type SettleReply =
  | ['settled', returned: number, resolved: number, nowMs: string, calls: string[]]
  | ['lost']
  | ['letters', ...userIds: string[]];

/** Letters that one step looks at. */
const LETTERS_AT_A_STEP = 300;

/** Resolves the older letters of an imported user, but for the newest of them; answers how many. */
async function resolveInSteps(
  { redis, keys }: AppRedis,
  imported: {
    readonly callId: string;
    readonly run: string;
    readonly userId: string;
    readonly eventId: string;
    readonly allOutcomes: boolean;
  },
): Promise<number> {
  const request = { ...imported, most: LETTERS_AT_A_STEP, outcomesKept: OUTCOMES_KEPT };
  let sum = 0;
  for (;;) {
    const resolved = (await askScript(redis, resolveScript, keys, request)) as number;
    if (resolved > 0) sum += resolved;
    if (resolved < LETTERS_AT_A_STEP) return sum;
  }
}

function keepRequest({ entries, attempts, suspects, ...kept }: Kept): object {
  return {
    entries: packEntries(entries),
    events: entries.length,
    oldestMs: Math.min(...entries.map(({ eventId }) => eventIdMs(eventId))),
    attempts: JSON.stringify(attempts),
    suspects: suspects.size > 0 ? JSON.stringify(Object.fromEntries(suspects)) : undefined,
    ...kept,
  };
}
