import { textOf } from '../../src/ledger/letters/letter-text.ts';
import { entriesOf, readRecord } from '../../src/ledger/record.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';

/**
 * What does not fit about the letters and where their events are; [] when all does. A dead or resolved letter's
 * event is on no way; a redriving one's is in an open call of class redrive, and every event of such a call has a
 * redriving letter. For moments at which nothing moves.
 */
export async function letterProblems(redis: RedisClient, keys: Keys): Promise<string[]> {
  const problems: string[] = [];
  const expect = (ok: boolean, sentence: string): void => {
    if (!ok) problems.push(sentence);
  };
  const lists = {
    dead: new Set(await redis.zrange(keys.deadByTime, '0', '-1')),
    redriving: new Set(await redis.zrange(keys.deadRedriving, '0', '-1')),
    resolved: new Set(await redis.zrange(keys.deadResolved, '0', '-1')),
  };
  const found = { dead: 0, redriving: 0, resolved: 0 };
  const users = new Map<string, number>();
  const byReason: string[] = [];
  const letterKeys = await redis.keys(`${keys.deadPrefix}*`);
  const hashes = (await redis.pipeline(letterKeys.map((key) => ['hgetall', key])).exec()) ?? [];
  for (const [at, key] of letterKeys.entries()) {
    const eventId = key.slice(keys.deadPrefix.length);
    const hash = (hashes[at]?.[1] ?? {}) as Record<string, string>;
    const state = hash.state as keyof typeof lists;
    found[state]++;
    expect(textOf(hash) !== undefined, `letter ${eventId} is empty`);
    for (const [name, list] of Object.entries(lists))
      expect(
        list.has(eventId) === (name === state),
        `letter ${eventId} is ${state}; listed as ${name}: ${list.has(eventId)}`,
      );
    if (state !== 'dead') continue;
    users.set(hash.userId ?? '', (users.get(hash.userId ?? '') ?? 0) + 1);
    byReason.push(`${hash.reason} ${hash.code} ${eventId}`);
  }
  for (const [state, list] of Object.entries(lists))
    expect(
      list.size === found[state as keyof typeof lists],
      `${list.size} listed as ${state}, ${found[state as keyof typeof lists]} are`,
    );
  const counted = await redis.hgetall(keys.deadUsers);
  expect(
    JSON.stringify(Object.entries(counted).sort()) ===
      JSON.stringify([...users].map(([user, n]) => [user, String(n)]).sort()),
    `letters by user: counted ${JSON.stringify(counted)}, found ${JSON.stringify([...users])}`,
  );
  const indexed = (await redis.zrange(keys.deadByReason, '0', '-1')).sort();
  expect(indexed.join() === byReason.sort().join(), `by reason: ${indexed} listed, ${byReason} are`);

  const onTheWay = new Set<string>();
  const redriven = new Set<string>();
  let redriveCalls = 0;
  for (const callId of await redis.zrange(keys.open, '0', '-1')) {
    const record = readRecord(callId, 0, await redis.hgetall(keys.callPrefix + callId));
    if (record.slotClass === 'redrive') redriveCalls++;
    for (const { eventId } of entriesOf(record))
      (record.slotClass === 'redrive' ? redriven : onTheWay).add(eventId);
  }
  for (const [eventId] of await redis.xrange(keys.stream, '-', '+')) onTheWay.add(eventId);
  for (const user of Object.keys(await redis.hgetall(keys.parkedCounts)))
    for (const packed of await redis.lrange(keys.parkedPrefix + user, 0, -1))
      onTheWay.add(JSON.parse(packed)[0]);
  for (const packed of await redis.lrange(keys.returned, 0, -1)) onTheWay.add(JSON.parse(packed)[0]);
  for (const eventId of [...lists.dead, ...lists.resolved, ...lists.redriving])
    expect(!onTheWay.has(eventId), `letter ${eventId} is on its way in a live place, too`);
  expect(
    [...redriven].sort().join() === [...lists.redriving].sort().join(),
    `in redrive calls ${[...redriven].sort()}, letters being redriven ${[...lists.redriving].sort()}`,
  );

  const books = await redis.hgetall(keys.books);
  const book = (name: string): number => Number(books[name] ?? 0);
  expect(
    book('redriveCalls') === redriveCalls,
    `the books say ${book('redriveCalls')} redrive calls, ${redriveCalls} are open`,
  );
  expect(
    book('dead') - book('deadDeleted') === lists.dead.size,
    `the books say ${book('dead')} dead, ${book('deadDeleted')} of them deleted; ${lists.dead.size} are there`,
  );
  return problems;
}
