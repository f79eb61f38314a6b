import { type RawEntry, readTally, type ValidEntry } from '../../event/event.ts';
import type { Outcome } from '../../event/outcome.ts';
import type { Letter } from '../../ledger/letters/dead-letters.ts';
import { claimedUser } from '../../ledger/record.ts';
import type { Kept, Settlement, TallyCount } from '../../ledger/settle.ts';
import type { Decision, Refused } from './decision.ts';
import { newestOf, type PendingUser } from './pending-user.ts';

/** How the events of a record ended, as settle.lua takes it. Pure. */

/** What the record keeps of its history while users stay in it. */
export type KeptState = Pick<
  Kept,
  'tries' | 'attempts' | 'suspects' | 'dueAtMs' | 'firstSentAtMs' | 'heldMsAtFirst' | 'onWire'
>;

/** The users of a record who are not settled yet, with their events. */
export type Remaining = ReadonlyMap<string, PendingUser>;

/** The entries of a record by event ID, as they came. Read only when one fails or stays. */
type Entries = () => ReadonlyMap<string, RawEntry>;

/** An event that ends as a dead letter. */
interface Death {
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
  readonly decision: Pick<Decision, 'imported' | 'refused'>;
  readonly entries: Entries;
  readonly letter: (raw: RawEntry, refused: Refused) => Letter;
  readonly kept: KeptState;
}): Settlement {
  const { before, after, decision, entries, letter, kept } = step;
  const endings: Ending[] = [];
  const end = (userId: string, { eventId, event }: ValidEntry, outcome: 'imported' | 'superseded'): void => {
    const { replyTo, tally } = event;
    endings.push({ replyTo, tally, outcome: { eventId, userId, outcome, errorCode: 0, hasAccount: true } });
  };
  const imported = decision.imported.map((user) => {
    const { userId } = user;
    const sent = newestOf(user);
    const [newest, ...older] = before.get(userId)?.events ?? [];
    if (newest?.eventId !== sent.eventId)
      throw new RangeError(`event ${sent.eventId} was sent out of turn: a bug`);
    end(userId, sent, 'imported');
    for (const entry of older) end(userId, entry, 'superseded');
    return { userId, eventId: sent.eventId };
  });
  const deaths = decision.refused.map((refused): Death => {
    const { eventId } = refused.entry;
    const raw = entries().get(eventId);
    if (raw === undefined) throw new RangeError(`event ${eventId} is not of this record: a bug`);
    return { raw, letter: letter(raw, refused) };
  });
  return {
    imported,
    superseded: endings.length - imported.length,
    released: [...before.keys()].filter((userId) => !after.has(userId)),
    kept: keep(after, entries, kept),
    ...endedBy(endings, deaths),
  };
}

/** The settlement of entries that are not valid: they leave a record first. */
export function invalidSettlement(step: {
  readonly invalid: readonly Death[];
  readonly remaining: Remaining;
  readonly entries: Entries;
  readonly kept: KeptState;
}): Settlement {
  const { invalid, remaining, entries, kept } = step;
  const claimed = invalid.map(({ raw }) => claimedUser(raw.fields)).filter((userId) => userId !== '');
  return {
    imported: [],
    superseded: 0,
    released: [...new Set(claimed)].filter((userId) => !remaining.has(userId)),
    kept: keep(remaining, entries, kept),
    ...endedBy([], invalid),
  };
}

/** What follows from the endings of events: dead letters, and what each of those hears who asked. */
function endedBy(
  passed: readonly Ending[],
  deaths: readonly Death[],
): Pick<Settlement, 'dead' | 'publish' | 'outcomes' | 'tallies'> {
  const endings = [...passed, ...deaths.map(endingOf)];
  return {
    dead: deaths.map(({ raw, letter }) => ({
      eventId: raw.eventId,
      userId: claimedUser(raw.fields),
      reason: letter.reason,
      code: letter.errorCode,
      letter,
    })),
    publish: endings.flatMap(({ replyTo, outcome }) =>
      replyTo === undefined ? [] : [{ channel: replyTo, message: JSON.stringify(outcome) }],
    ),
    outcomes: endings.map(({ outcome }) => outcome),
    tallies: talliesOf(endings),
  };
}

/** However bad an entry is, its producer hears of its end if the channel or the tally is well-formed. */
function endingOf({ raw, letter }: Death): Ending {
  const { userId, errorCode, reason, hasAccount = false } = letter;
  const replyTo = lastValue(raw, 'replyTo') ?? '';
  return {
    replyTo: /^[\x21-\x7e]{1,200}$/.test(replyTo) ? replyTo : undefined,
    tally: readTally(lastValue(raw, 'tally')),
    outcome: { eventId: raw.eventId, userId, outcome: 'dead-lettered', errorCode, reason, hasAccount },
  };
}

function lastValue({ fields }: RawEntry, field: string): string | undefined {
  const at = fields.findLastIndex((name, i) => i % 2 === 0 && name === field);
  return at < 0 ? undefined : fields[at + 1];
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
function keep(after: Remaining, entries: Entries, kept: KeptState): Kept | null {
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
