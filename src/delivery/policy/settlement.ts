import { lastValueOf, type Outcome, type RawEntry, readTally, type ValidEntry } from '../../event/event.ts';
import type { Letter } from '../../ledger/letters/dead-letters.ts';
import { claimedUser } from '../../ledger/record.ts';
import type { Kept, Settlement, TallyCount } from '../../ledger/settle.ts';
import type { Decision } from './decision.ts';
import { newestOf, type PendingUser } from './pending-user.ts';

/** How the events of a record ended, as settle.lua takes it. Pure. */

/** What the record keeps of its history while users stay in it. */
export type KeptState = Pick<
  Kept,
  'tries' | 'attempts' | 'suspects' | 'dueAtMs' | 'firstSentAtMs' | 'heldMsAtFirst' | 'onWire'
>;

/** The users of a record who are not settled yet, with their events. */
export type Remaining = ReadonlyMap<string, PendingUser>;

/** An event that ends as a dead letter. */
export interface Death {
  readonly raw: RawEntry;
  readonly letter: Letter;
}

/** How an event ended, and who hears of it. */
interface Ending {
  /** The channel that its producer asked for. */
  readonly replyTo: string | undefined;
  readonly tally: string | undefined;
  readonly outcome: Outcome;
}

/** The users who are left after a decision, with the events that are left. */
export function remainingAfter(
  remaining: Remaining,
  { imported, refused }: Pick<Decision, 'imported' | 'refused'>,
): Map<string, PendingUser> {
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

/** The settlement that moves the record from `before` to `after`. settle.lua checks that it balances. */
export function settlementOf(step: {
  readonly before: Remaining;
  readonly after: Remaining;
  readonly imported: readonly PendingUser[];
  readonly deaths: readonly Death[];
  readonly entries: () => ReadonlyMap<string, RawEntry>;
  readonly kept: KeptState;
}): Settlement {
  const { before, after, imported, deaths, entries, kept } = step;
  const endings: Ending[] = [];
  for (const user of imported) {
    const { eventId } = newestOf(user);
    const events = before.get(user.userId)?.events ?? [];
    if (events[0]?.eventId !== eventId) throw new RangeError(`event ${eventId} was sent out of turn: a bug`);
    for (const entry of events)
      endings.push(passedEnding(user.userId, entry, entry === events[0] ? 'imported' : 'superseded'));
  }
  const passed = endings.length;
  endings.push(...deaths.map(deathEnding));
  const claimed = deaths.map(({ raw }) => claimedUser(raw.fields)).filter((userId) => userId !== '');
  return {
    imported: imported.map((user) => ({ userId: user.userId, eventId: newestOf(user).eventId })),
    superseded: passed - imported.length,
    dead: deaths.map(({ raw, letter }) => ({
      eventId: raw.eventId,
      userId: claimedUser(raw.fields),
      reason: letter.reason,
      code: letter.errorCode,
      letter,
    })),
    released: [...new Set([...before.keys(), ...claimed])].filter((userId) => !after.has(userId)),
    kept: keep(after, entries, kept),
    publish: endings.flatMap(({ replyTo, outcome }) =>
      replyTo === undefined ? [] : [{ channel: replyTo, message: JSON.stringify(outcome) }],
    ),
    outcomes: endings.map(({ outcome }) => outcome),
    tallies: talliesOf(endings),
  };
}

function passedEnding(
  userId: string,
  { eventId, event }: ValidEntry,
  outcome: 'imported' | 'superseded',
): Ending {
  const { replyTo, tally } = event;
  return { replyTo, tally, outcome: { eventId, userId, outcome, errorCode: 0, hasAccount: true } };
}

/** However bad an entry is, its producer hears of its end if the channel or the tally is well-formed. */
function deathEnding({ raw, letter }: Death): Ending {
  const { userId, errorCode, reason, hasAccount = false } = letter;
  const replyTo = lastValueOf(raw.fields, 'replyTo') ?? '';
  return {
    replyTo: /^[\x21-\x7e]{1,200}$/.test(replyTo) ? replyTo : undefined,
    tally: readTally(lastValueOf(raw.fields, 'tally')),
    outcome: { eventId: raw.eventId, userId, outcome: 'dead-lettered', errorCode, reason, hasAccount },
  };
}

/** What each tally counts of a settlement: few entries, however many events. */
export function talliesOf(
  endings: readonly {
    readonly tally: string | undefined;
    readonly outcome: Pick<Outcome, 'outcome' | 'reason'>;
  }[],
): TallyCount[] {
  const counts = new Map<string, TallyCount>();
  const count = (tally: string, name: string): void => {
    const key = `${tally} ${name}`;
    counts.set(key, { tally, name, count: (counts.get(key)?.count ?? 0) + 1 });
  };
  for (const { tally, outcome } of endings) {
    if (tally === undefined) continue;
    count(tally, outcome.outcome);
    if (outcome.reason !== undefined) count(tally, `dead:${outcome.reason}`);
  }
  return [...counts.values()];
}

/** Events keep the order in which they stood, so that a record reads the same at every run. */
function keep(after: Remaining, entries: () => ReadonlyMap<string, RawEntry>, kept: KeptState): Kept | null {
  if (after.size === 0) return null;
  const staying = new Set([...after.values()].flatMap(({ events }) => events.map(({ eventId }) => eventId)));
  return {
    ...kept,
    entries: [...entries().values()].filter(({ eventId }) => staying.has(eventId)),
    users: after.size,
    isIsolated: [...after.keys()].every((userId) => kept.suspects.has(userId)),
    suspects: new Map([...kept.suspects].filter(([userId]) => after.has(userId))),
  };
}
