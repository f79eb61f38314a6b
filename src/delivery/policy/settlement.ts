import type { Outcome, RawEntry, ValidEntry } from '../../event/event.ts';
import type { Letter } from '../../ledger/letters/dead-letters.ts';
import { type Attempt, claimedUser } from '../../ledger/record.ts';
import type { DeadEvent, Kept, Settlement } from '../../ledger/settle.ts';
import { type Decision, hasAccount, type Refused } from './decision.ts';
import { talliesOf, tallyOf } from './import-counters.ts';
import { newestOf, type PendingUser } from './pending-user.ts';

/** What the record keeps of its history while users stay in it. */
export type KeptState = Pick<
  Kept,
  'tries' | 'attempts' | 'suspects' | 'dueAtMs' | 'firstSentAtMs' | 'heldMsAtFirst' | 'onWire'
>;

/** The users of a record who are not settled yet, with their events. */
export type Remaining = ReadonlyMap<string, PendingUser>;

/** How an event ended, and who asked. */
interface Ending {
  readonly replyTo: string | undefined;
  readonly outcome: Outcome;
}

/** Takes a decision's endings off the remaining users. Pure. */
export function remainingAfter(
  remaining: Remaining,
  decision: Pick<Decision, 'imported' | 'refused'>,
): Map<string, PendingUser> {
  const { imported, refused } = decision;
  // The usual end of a call, without a copy of all its users.
  if (refused.length === 0 && imported.length === remaining.size && imported.every(isIn(remaining)))
    return new Map();
  const left = new Map(remaining);
  for (const { userId } of imported) left.delete(userId);
  for (const { user, entry } of refused) {
    const now = left.get(user.userId);
    if (now === undefined) continue;
    const events = now.events.filter(({ eventId }) => eventId !== entry.eventId);
    if (events.length > 0) left.set(user.userId, { ...now, events });
    else left.delete(user.userId);
  }
  return left;
}

function isIn(remaining: Remaining): (user: PendingUser) => boolean {
  return ({ userId }) => remaining.has(userId);
}

/**
 * The settlement that moves the record from `before` to `after`. Pure; settle.lua checks that it balances. Its
 * `outcomes` are empty unless `tellAll`.
 */
export function settlementOf(step: {
  readonly before: Remaining;
  readonly after: Remaining;
  readonly decision: Pick<Decision, 'imported' | 'refused'>;
  readonly entries: () => ReadonlyMap<string, RawEntry>;
  readonly letter: (raw: RawEntry, refused: Refused) => Letter;
  readonly kept: KeptState;
  readonly tellAll: boolean;
}): Settlement {
  const { before, after, decision, entries, letter, tellAll } = step;
  const endings: Ending[] = [];
  const counted: Parameters<typeof talliesOf>[0][number][] = [];
  let superseded = 0;
  /** Of most events nobody asked how they ended. */
  const made = (userId: string, { eventId, event }: ValidEntry, outcome: 'imported' | 'superseded'): void => {
    const { replyTo, tally } = event;
    if (tellAll || replyTo !== undefined)
      endings.push({ replyTo, outcome: { eventId, userId, outcome, errorCode: 0, hasAccount: true } });
    if (tally !== undefined) counted.push({ tally, outcome });
  };
  const imported = decision.imported.map((user) => {
    const [newest, ...older] = before.get(user.userId)?.events ?? [];
    const sent = newestOf(user);
    if (newest?.eventId !== sent.eventId)
      throw new RangeError(`event ${sent.eventId} was sent out of turn: a bug`);
    superseded += older.length;
    made(user.userId, sent, 'imported');
    for (const entry of older) made(user.userId, entry, 'superseded');
    return { userId: user.userId, eventId: sent.eventId };
  });
  const dead = decision.refused.map((refused): DeadEvent => {
    const { user, entry, reason, verdict } = refused;
    const raw = entries().get(entry.eventId);
    if (raw === undefined) throw new RangeError(`event ${entry.eventId} is not of this record: a bug`);
    counted.push({ tally: entry.event.tally, outcome: 'dead-lettered', reason });
    const { eventId } = entry;
    const { errorCode } = verdict;
    endings.push({
      replyTo: entry.event.replyTo,
      outcome: {
        eventId,
        userId: user.userId,
        outcome: 'dead-lettered',
        errorCode,
        reason,
        hasAccount: hasAccount(refused),
      },
    });
    return { eventId, userId: user.userId, reason, code: errorCode, letter: letter(raw, refused) };
  });
  return {
    imported,
    superseded,
    dead,
    released: [...before.keys()].filter((userId) => !after.has(userId)),
    kept: keep(after, entries, step.kept),
    publish: endings.flatMap(announcement),
    outcomes: tellAll ? endings.map(({ outcome }) => outcome) : [],
    tallies: talliesOf(counted),
  };
}

/** The settlement of the entries that do not hold up: they leave a record first. */
export function invalidSettlement(step: {
  readonly invalid: readonly { readonly raw: RawEntry; readonly letter: Letter }[];
  readonly remaining: Remaining;
  readonly entries: () => ReadonlyMap<string, RawEntry>;
  readonly kept: KeptState;
}): Settlement {
  const endings = step.invalid.map(
    ({ raw, letter }): Ending => ({
      replyTo: replyToOf(raw),
      outcome: {
        eventId: raw.eventId,
        userId: letter.userId,
        outcome: 'dead-lettered',
        errorCode: 0,
        reason: letter.reason,
        hasAccount: false,
      },
    }),
  );
  const claimed = step.invalid.map(({ raw }) => claimedUser(raw.fields)).filter((userId) => userId !== '');
  return {
    imported: [],
    superseded: 0,
    dead: step.invalid.map(({ raw, letter }) => ({
      eventId: raw.eventId,
      userId: claimedUser(raw.fields),
      reason: letter.reason,
      code: 0,
      letter,
    })),
    released: [...new Set(claimed)].filter((userId) => !step.remaining.has(userId)),
    kept: keep(step.remaining, step.entries, step.kept),
    publish: endings.flatMap(announcement),
    outcomes: endings.map(({ outcome }) => outcome),
    tallies: talliesOf(
      step.invalid.map(({ raw, letter }) => ({
        tally: tallyOf(raw),
        outcome: 'dead-lettered',
        reason: letter.reason,
      })),
    ),
  };
}

/** Events keep the order in which they stood, so that a record reads the same at every run. */
function keep(after: Remaining, entries: () => ReadonlyMap<string, RawEntry>, kept: KeptState): Kept | null {
  if (after.size === 0) return null;
  const staying = new Set([...after.values()].flatMap(({ events }) => events.map(({ eventId }) => eventId)));
  return {
    ...kept,
    attempts: kept.attempts as readonly Attempt[],
    entries: [...entries().values()].filter(({ eventId }) => staying.has(eventId)),
    users: after.size,
    isIsolated: [...after.keys()].every((userId) => kept.suspects.has(userId)),
    suspects: new Map([...kept.suspects].filter(([userId]) => after.has(userId))),
  };
}

/** Who asked for an outcome hears it, however bad the rest of the event; undefined if the channel itself is bad. */
function replyToOf({ fields }: RawEntry): string | undefined {
  const at = fields.findLastIndex((name, i) => i % 2 === 0 && name === 'replyTo');
  const channel = at < 0 ? '' : (fields[at + 1] ?? '');
  return /^[\x21-\x7e]{1,200}$/.test(channel) ? channel : undefined;
}

function announcement({ replyTo, outcome }: Ending): { channel: string; message: string }[] {
  return replyTo === undefined ? [] : [{ channel: replyTo, message: JSON.stringify(outcome) }];
}
