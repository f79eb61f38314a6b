import { eventIdMs, type Outcome, type RawEntry } from '../event/event.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';
import type { DeadReason } from './letters/dead-letters.ts';
import { type Attempt, packEntries, type Suspicion } from './record.ts';

const settleScript = loadScript(
  import.meta.url,
  '../redis/prelude.lua',
  'letters/letter-index.lua',
  '../pace/hold/hold-shared.lua',
  '../intake/returned-since.lua',
  'settle/outcomes.lua',
  'settle/redriven.lua',
  'settle/letters.lua',
  'settle/release.lua',
  'settle/keep.lua',
  'settle.lua',
);

/** An event that ends as a dead letter. `userId` is '' unless it is well-formed; `letter` is the whole record. */
export interface DeadEvent {
  readonly eventId: string;
  readonly userId: string;
  readonly reason: DeadReason;
  readonly code: number;
  readonly letter: object;
}

/** What stays in the record, to be called again at `dueAtMs`. */
export interface Kept {
  readonly entries: readonly RawEntry[];
  readonly users: number;
  readonly tries: number;
  readonly attempts: readonly Attempt[];
  /** By user ID; users who are none any more may stand in it. */
  readonly suspects: ReadonlyMap<string, Suspicion>;
  /** All users who stay are suspected: their call holds up no other. */
  readonly isIsolated: boolean;
  /** ms since 1970, Redis's clock; 0: at once, by the run that goes on. */
  readonly dueAtMs: number;
  readonly firstSentAtMs: number;
  readonly heldMsAtFirst: number;
  /** Calls of the record may be on the wire: who takes it over must know. */
  readonly onWire?: boolean;
}

/** Entries of the stream of outcomes, at least; Redis trims it by whole blocks, so it holds some more. */
export const OUTCOMES_KEPT = 100_000;
/** How an event ends. */
export type Ended = 'imported' | 'superseded' | 'dead-lettered';

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
   * When the newest call started in which accounts passed, ms since 1970, Redis's clock; 0 or absent: none did, or the
   * hold has been told already. It ends what went wrong in a row before, and a hold that began earlier (pace/hold/hold-shared.lua).
   */
  readonly passedAtMs?: number;
}

export type Settled =
  | { readonly kind: 'settled'; readonly returned: number; readonly resolved: number; readonly nowMs: number }
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
  const { kept, released } = settlement;
  const imported: string[] = [];
  for (const { userId, eventId } of settlement.imported) imported.push(userId, eventId);
  // The usual end of a call: who is released is who was imported, and stands there already.
  const sameUsers =
    released.length * 2 === imported.length && released.every((userId, i) => userId === imported[2 * i]);
  const request = {
    callId,
    run,
    parkedPrefix: keys.parkedPrefix,
    deadPrefix: keys.deadPrefix,
    replyPrefix: keys.replyPrefix,
    holdChannel: keys.holdChannel,
    outcomesKept: OUTCOMES_KEPT,
    imported,
    superseded: settlement.superseded,
    dead: settlement.dead.map(({ letter, ...dead }) => ({ ...dead, letter: JSON.stringify(letter) })),
    ...(!sameUsers && { released }),
    ...(settlement.passedAtMs && { passedAt: Math.round(settlement.passedAtMs) }),
    publish: settlement.publish.flatMap(({ channel, message }) => [channel, message]),
    ...(allOutcomes && {
      outcomes: settlement.outcomes.map((outcome) =>
        Object.entries(outcome).flatMap(([k, v]) => [k, String(v)]),
      ),
    }),
    ...((settlement.tallies ?? []).length > 0 && {
      tallies: settlement.tallies?.flatMap(({ tally, name, count }) => [
        keys.tallyPrefix + tally,
        name,
        count,
      ]),
    }),
    ...(kept && {
      keep: {
        entries: packEntries(kept.entries),
        users: kept.users,
        events: kept.entries.length,
        tries: kept.tries,
        attempts: JSON.stringify(kept.attempts),
        ...(kept.suspects.size > 0 && { suspects: JSON.stringify(Object.fromEntries(kept.suspects)) }),
        isolated: kept.isIsolated,
        oldest: Math.min(...kept.entries.map(({ eventId }) => eventIdMs(eventId))),
        dueAt: Math.round(kept.dueAtMs),
        firstSentAt: Math.round(kept.firstSentAtMs),
        heldMsAtFirst: Math.round(kept.heldMsAtFirst),
        onWire: kept.onWire === true,
      },
    }),
  };
  const [word, returned, resolved, nowMs] = (await runScript(
    redis,
    settleScript,
    [
      keys.callPrefix + callId,
      keys.owners,
      keys.parkedCounts,
      keys.open,
      keys.books,
      keys.returned,
      keys.cutter,
      keys.deadByTime,
      keys.deadByUser,
      keys.deadByCode,
      keys.deadByReason,
      keys.deadUsers,
      keys.deadCounts,
      keys.deadResolved,
      keys.deadRedriving,
      keys.outcomes,
      keys.hold,
      keys.openSince,
      keys.isolated,
    ],
    [JSON.stringify(request)],
  )) as [string, number, number, string];
  if (word === 'lost') return { kind: 'lost' };
  return { kind: 'settled', returned: Number(returned), resolved: Number(resolved), nowMs: Number(nowMs) };
}
