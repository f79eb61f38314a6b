import { readBooks } from '../../src/ledger/books.ts';
import { claimedUser, readRecord } from '../../src/ledger/record.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';

/** Where every event really is, counted anew from the structures, beside what the counters say. */
export interface Audit {
  /** Sentences about what does not fit; [] when the books balance. */
  readonly problems: readonly string[];
  readonly openCalls: number;
}

/**
 * Recounts everything in one transaction and compares it with the counters and with the promises: no event in two
 * places, a user in one call only, parked entries only behind an owner, indexes that agree with the letters.
 */
export async function audit(redis: RedisClient, keys: Keys): Promise<Audit> {
  const problems: string[] = [];
  const expect = (ok: boolean, sentence: string): void => {
    if (!ok) problems.push(sentence);
  };
  const callIds = await redis.zrange(keys.open, '0', '-1');
  const parkedUsers = Object.keys(await redis.hgetall(keys.parkedCounts));
  // One MULTI, so that nothing moves between the reads; who runs meanwhile makes the two lists above stale, so
  // the audit is for moments at which the caller keeps the workers still, or is repeated.
  const multi = redis.multi();
  multi.xrange(keys.stream, '-', '+');
  multi.lrange(keys.returned, 0, -1);
  multi.hgetall(keys.owners);
  multi.hgetall(keys.parkedCounts);
  multi.hgetall(keys.books);
  multi.zrange(keys.open, '0', '-1');
  for (const callId of callIds) multi.hgetall(keys.callPrefix + callId);
  for (const user of parkedUsers) multi.lrange(keys.parkedPrefix + user, 0, -1);
  const replies = ((await multi.exec()) ?? []).map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
  const [stream, returned, owners, parkedCounts, books, openNow, ...rest] = replies as [
    [string, string[]][],
    string[],
    Record<string, string>,
    Record<string, string>,
    Record<string, string>,
    string[],
    ...unknown[],
  ];
  if (openNow.join() !== callIds.join() || Object.keys(parkedCounts).join() !== parkedUsers.join()) {
    return audit(redis, keys);
  }
  const records = rest.slice(0, callIds.length) as Record<string, string>[];
  const parkedLists = rest.slice(callIds.length) as string[][];

  const places = new Map<string, string>();
  const place = (eventId: string, where: string): void => {
    const other = places.get(eventId);
    expect(other === undefined, `event ${eventId} is in ${other} and in ${where}`);
    places.set(eventId, where);
  };
  for (const [eventId] of stream) place(eventId, 'the stream');
  for (const entry of returned) place((JSON.parse(entry) as string[])[0] ?? '', 'the returned list');
  parkedLists.forEach((list, i) => {
    const user = parkedUsers[i] ?? '';
    for (const entry of list) place((JSON.parse(entry) as string[])[0] ?? '', `the parking of ${user}`);
    expect(
      Number(parkedCounts[user]) === list.length,
      `${user}: ${parkedCounts[user]} counted as parked, ${list.length} are`,
    );
    expect(owners[user] !== undefined, `${user} has parked events but is in no call`);
  });

  const claims = new Map<string, string>();
  let events = 0;
  const users = new Map<string, number>();
  callIds.forEach((callId, i) => {
    const fields = records[i] ?? {};
    expect(fields.entries !== undefined, `open call ${callId} has no record`);
    if (fields.entries === undefined) return;
    const record = readRecord(callId, 0, new Map(Object.entries(fields)));
    const here = new Set<string>();
    let unowned = 0;
    for (const { eventId, fields: own } of record.entries) {
      place(eventId, `call ${callId}`);
      const user = claimedUser(own);
      if (user === '') unowned++;
      else here.add(user);
    }
    for (const user of here) {
      expect(!claims.has(user), `${user} is in calls ${claims.get(user)} and ${callId}`);
      claims.set(user, callId);
    }
    expect(
      Number(fields.events) === record.entries.length,
      `${callId} counts ${fields.events} events, has ${record.entries.length}`,
    );
    expect(
      Number(fields.users) === here.size + unowned,
      `${callId} counts ${fields.users} users, has ${here.size + unowned}`,
    );
    events += record.entries.length;
    users.set(record.command, (users.get(record.command) ?? 0) + here.size + unowned);
  });
  for (const [user, callId] of Object.entries(owners)) {
    expect(claims.get(user) === callId, `${user} is owned by ${callId}, which does not hold them`);
  }
  for (const [user, callId] of claims) {
    expect(owners[user] === callId, `${user} is in ${callId} but owned by ${owners[user]}`);
  }

  const book = (name: string): number => Number(books[name] ?? 0);
  const parked = parkedLists.reduce((sum, list) => sum + list.length, 0);
  expect(book('parked') === parked, `the books say ${book('parked')} parked, ${parked} are`);
  expect(book('events') === events, `the books say ${book('events')} events in calls, ${events} are`);
  for (const [command, n] of users) {
    expect(
      book(`users:${command}`) === n,
      `the books say ${book(`users:${command}`)} users in ${command}, ${n} are`,
    );
  }
  const ended = book('imported') + book('superseded') + book('dead');
  const inPlaces = returned.length + parked + events;
  expect(
    book('taken') === inPlaces + ended,
    `taken ${book('taken')} ≠ ${inPlaces} on the way + ${ended} ended`,
  );

  problems.push(...(await auditLetters(redis, keys)));
  return { problems, openCalls: callIds.length };
}

async function auditLetters(redis: RedisClient, keys: Keys): Promise<string[]> {
  const problems: string[] = [];
  const ids = await redis.zrange(keys.deadByTime, '0', '-1');
  const [byUser, byCode] = [await redis.zcard(keys.deadByUser), await redis.zcard(keys.deadByCode)];
  const counts = await redis.hgetall(keys.deadCounts);
  const sum = (prefix: string): number =>
    Object.entries(counts).reduce((total, [name, n]) => total + (name.startsWith(prefix) ? Number(n) : 0), 0);
  const facts = { byUser, byCode, byReason: sum('reason:'), byCodeCount: sum('code:') };
  for (const [name, n] of Object.entries(facts)) {
    if (n !== ids.length) problems.push(`${ids.length} dead letters by time, but ${n} ${name}`);
  }
  for (const id of ids) {
    const state = await redis.hget(keys.deadPrefix + id, 'state');
    if (state !== 'dead') problems.push(`letter ${id} is listed but ${state}`);
  }
  return problems;
}

/** The contract's equation, by what `status` is made of. [] when it holds. */
export async function booksProblems(redis: RedisClient, keys: Keys): Promise<string[]> {
  const b = await readBooks(redis, keys);
  const users = Object.values(b.usersInCalls).reduce((sum, n) => sum + n, 0);
  const total = b.waiting + b.parked + users + b.imported + b.superseded + b.deadLettered;
  return total === b.accepted ? [] : [`accepted ${b.accepted} ≠ ${total}: ${JSON.stringify(b)}`];
}
