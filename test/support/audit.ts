import { compareEventIds } from '../../src/event/event.ts';
import { textOf } from '../../src/ledger/letters/letter-text.ts';
import { claimedUser, entriesOf } from '../../src/ledger/record.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';
import { type Hash, type Snapshot, takeSnapshot } from './snapshot.ts';

/** Where every event really is, counted anew from the structures, beside what the counters say. */
export interface Audit {
  /** Sentences about what does not fit; [] when the books balance. */
  readonly problems: readonly string[];
  readonly openCalls: number;
}

/** Adds the sentence to the problems unless it is so. */
type Expect = (ok: boolean, sentence: string) => void;

/**
 * Recounts everything at one moment and compares it with the counters and with the promises: no event lost or in
 * two places, a user in one call only, each user's events in their order from the call to the stream, parked
 * entries only behind an owner, indexes that agree with the letters. Right at any time, with workers running.
 */
export async function audit(redis: RedisClient, keys: Keys): Promise<Audit> {
  const snapshot = await takeSnapshot(redis, keys);
  const problems: string[] = [];
  const expect: Expect = (ok, sentence) => {
    if (!ok) problems.push(sentence);
  };
  const places = auditPlaces(snapshot, expect);
  auditCalls(snapshot, expect);
  auditBooks(snapshot, expect);
  auditLetters(snapshot, places, expect);
  return { problems, openCalls: snapshot.open.length };
}

interface Standing {
  readonly eventId: string;
  readonly userId: string;
  readonly where: string;
}

/** Every event on its way, in the order in which each user's are to be sent: calls, parking, returned, stream. */
function standings(snapshot: Snapshot): Standing[] {
  const packed = (text: string, where: string): Standing => {
    const [eventId = '', ...fields] = JSON.parse(text) as string[];
    return { eventId, userId: claimedUser(fields), where };
  };
  return [
    ...[...snapshot.records].flatMap(([callId, fields]) =>
      entriesIn(fields).map(({ eventId, fields: own }) => ({
        eventId,
        userId: claimedUser(own),
        where: `call ${callId}`,
      })),
    ),
    ...[...snapshot.parked].flatMap(([user, list]) =>
      list.map((text) => packed(text, `the parking of ${user}`)),
    ),
    ...snapshot.returned.map((text) => packed(text, 'the returned list')),
    ...snapshot.stream.map(([eventId, fields]) => ({
      eventId,
      userId: claimedUser(fields),
      where: 'the stream',
    })),
  ];
}

function entriesIn(fields: Hash): { eventId: string; fields: readonly string[] }[] {
  if (fields.entries === undefined) return [];
  return entriesOf({ packed: fields.entries });
}

/** Answers where each event is. */
function auditPlaces(snapshot: Snapshot, expect: Expect): Map<string, string> {
  const places = new Map<string, string>();
  const last = new Map<string, Standing>();
  // Said once a user: one entry in the wrong place is behind all that follow.
  const disordered = new Set<string>();
  for (const standing of standings(snapshot)) {
    const { eventId, userId, where } = standing;
    const other = places.get(eventId);
    expect(other === undefined, `event ${eventId} is in ${other} and in ${where}`);
    places.set(eventId, where);
    if (userId === '') continue;
    const before = last.get(userId);
    // A record need not hold its entries in order, since its reader sorts them.
    const ordered =
      before === undefined ||
      (before.where === where && where.startsWith('call ')) ||
      compareEventIds(before.eventId, eventId) < 0;
    expect(
      ordered || disordered.has(userId),
      `${userId}: ${before?.eventId} in ${before?.where} would go before the older ${eventId} in ${where}`,
    );
    if (!ordered) disordered.add(userId);
    if (before === undefined || compareEventIds(before.eventId, eventId) < 0) last.set(userId, standing);
  }
  for (const [user, list] of snapshot.parked) {
    const counted = Number(snapshot.parkedCounts[user] ?? 0);
    expect(counted === list.length, `${user}: ${counted} counted as parked, ${list.length} are`);
    expect(snapshot.owners[user] !== undefined, `${user} has parked events but is in no call`);
  }
  for (const user of Object.keys(snapshot.parkedCounts))
    expect(snapshot.parked.has(user), `${user} is counted as parked, but nothing is`);
  return places;
}

/** A user is in one call at a time, and the owners say in which. */
function auditCalls({ records, open, owners }: Snapshot, expect: Expect): void {
  for (const callId of open) expect(records.has(callId), `open call ${callId} has no record`);
  const listed = new Set(open);
  const claims = new Map<string, string>();
  for (const [callId, fields] of records) {
    expect(listed.has(callId), `call ${callId} is not among the open ones`);
    const entries = entriesIn(fields);
    expect(entries.length > 0, `call ${callId} holds no entry`);
    const claimed = entries.map(({ fields: own }) => claimedUser(own));
    const here = new Set(claimed.filter((user) => user !== ''));
    for (const user of here) {
      expect(!claims.has(user), `${user} is in calls ${claims.get(user)} and ${callId}`);
      claims.set(user, callId);
    }
    const users = here.size + claimed.filter((user) => user === '').length;
    expect(
      Number(fields.events) === entries.length,
      `${callId} counts ${fields.events} events, has ${entries.length}`,
    );
    expect(Number(fields.users) === users, `${callId} counts ${fields.users} users, has ${users}`);
  }
  for (const [user, callId] of Object.entries(owners))
    expect(claims.get(user) === callId, `${user} is owned by ${callId}, which does not hold them`);
  for (const [user, callId] of claims)
    expect(owners[user] === callId, `${user} is in ${callId} but owned by ${owners[user]}`);
}

function auditBooks(snapshot: Snapshot, expect: Expect): void {
  const book = (name: string): number => Number(snapshot.books[name] ?? 0);
  const parked = [...snapshot.parked.values()].reduce((sum, list) => sum + list.length, 0);
  let events = 0;
  const users: Record<string, number> = {};
  for (const fields of snapshot.records.values()) {
    events += entriesIn(fields).length;
    const name = `users:${fields.command}`;
    users[name] = (users[name] ?? 0) + Number(fields.users);
  }
  expect(book('parked') === parked, `the books say ${book('parked')} parked, ${parked} are`);
  expect(book('events') === events, `the books say ${book('events')} events in calls, ${events} are`);
  const commands = Object.keys(snapshot.books).filter((name) => name.startsWith('users:'));
  for (const name of new Set([...commands, ...Object.keys(users)])) {
    const found = users[name] ?? 0;
    expect(book(name) === found, `the books say ${book(name)} ${name}, ${found} are in calls`);
  }
  const ended = book('imported') + book('superseded') + book('dead');
  const inPlaces = snapshot.returned.length + parked + events;
  expect(
    book('taken') === inPlaces + ended,
    `taken ${book('taken')} ≠ ${inPlaces} on the way + ${ended} ended`,
  );
  // The count that no script of ours keeps: what was trimmed off the stream unseen would show here alone.
  const accepted = snapshot.stream.length + book('taken');
  expect(
    snapshot.added === null || snapshot.added === accepted,
    `the stream took ${snapshot.added} entries, the books know of ${accepted}`,
  );
}

function auditLetters(snapshot: Snapshot, places: ReadonlyMap<string, string>, expect: Expect): void {
  const listed = new Set(Object.keys(snapshot.deadByTime));
  const byUser: string[] = [];
  const byReason: string[] = [];
  // Without a prototype: a user may be called toString.
  const users: Record<string, string> = Object.create(null);
  const counts: Record<string, string> = Object.create(null);
  const count = (into: Record<string, string>, name: string): void => {
    into[name] = String(Number(into[name] ?? 0) + 1);
  };
  for (const eventId of listed) {
    const letter = snapshot.letters.get(eventId);
    expect(letter !== undefined, `letter ${eventId} is listed, but there is none`);
    if (letter === undefined) continue;
    const { state, userId = '', reason = '', code = '', deadAt } = letter;
    expect(state === 'dead', `letter ${eventId} is listed but ${state}`);
    expect(
      deadAt === snapshot.deadByTime[eventId],
      `letter ${eventId} is listed at another time than its own`,
    );
    expect(textOf(letter) !== undefined, `letter ${eventId} is empty`);
    expect(!places.has(eventId), `event ${eventId} is dead and in ${places.get(eventId)}`);
    byUser.push(`${userId} ${eventId}`);
    byReason.push(`${reason} ${code} ${eventId}`);
    count(users, userId);
    count(counts, `reason:${reason}`);
    count(counts, `code:${code}`);
  }
  for (const [eventId, { state }] of snapshot.letters) {
    expect(state !== 'dead' || listed.has(eventId), `letter ${eventId} is dead but not listed`);
  }
  for (const eventId of snapshot.deadResolved) {
    const state = snapshot.letters.get(eventId)?.state;
    expect(state === 'resolved', `letter ${eventId} is listed as resolved but ${state}`);
  }
  const same = (what: string, found: unknown, due: unknown): void => {
    const [is, should] = [JSON.stringify(found), JSON.stringify(due)];
    expect(is === should, `${what} is ${is}, by the letters ${should}`);
  };
  same('the index by user', [...snapshot.deadByUser].sort(), byUser.sort());
  same('the index by reason', [...snapshot.deadByReason].sort(), byReason.sort());
  same('the count by user', sorted(snapshot.deadUsers), sorted(users));
  same('the count by reason and code', sorted(snapshot.deadCounts), sorted(counts));
  // Deleting a letter does not undo how its event ended.
  const deleted = Number(snapshot.books.deadDeleted ?? 0);
  same('the number of dead letters', Number(snapshot.books.dead ?? 0) - deleted, listed.size);
}

function sorted(hash: Hash): [string, string][] {
  return Object.entries(hash).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The contract's equation, by what `status` is made of. [] when it holds. */
export async function booksProblems(redis: RedisClient, keys: Keys): Promise<string[]> {
  const b = await readTotals(redis, keys);
  const users = Object.values(b.usersInCalls).reduce((sum, n) => sum + n, 0);
  const total = b.waiting + b.parked + users + b.imported + b.superseded + b.deadLettered;
  return total === b.accepted ? [] : [`accepted ${b.accepted} ≠ ${total}: ${JSON.stringify(b)}`];
}
