import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';

/** Everything that the scripts keep of one app, as it is at one moment. */
export interface Snapshot {
  readonly stream: readonly (readonly [eventId: string, fields: string[]])[];
  /** Entries that the stream ever took, by Redis's own count; null where Redis does not count them (before 7.0). */
  readonly added: number | null;
  /** Packed entries. */
  readonly returned: readonly string[];
  readonly owners: Hash;
  readonly parkedCounts: Hash;
  /** Packed entries by user, of every parking list that exists. */
  readonly parked: ReadonlyMap<string, readonly string[]>;
  readonly books: Hash;
  readonly open: readonly string[];
  /** Every call record that exists, listed or not. */
  readonly records: ReadonlyMap<string, Hash>;
  /** Every letter that exists, unresolved or not. */
  readonly letters: ReadonlyMap<string, Hash>;
  readonly deadByTime: Hash;
  readonly deadByUser: readonly string[];
  readonly deadByReason: readonly string[];
  readonly deadUsers: Hash;
  readonly deadCounts: Hash;
  readonly deadResolved: readonly string[];
}

export type Hash = Readonly<Record<string, string>>;

/** One script, so that nothing moves between the reads, however busy the workers are. */
const lua = `
local function all(prefix, read)
  local found, cursor = {}, '0'
  repeat
    local page = redis.call('SCAN', cursor, 'MATCH', prefix .. '*', 'COUNT', 10000)
    cursor = page[1]
    for _, key in ipairs(page[2]) do
      found[#found + 1] = { string.sub(key, #prefix + 1), read(key) }
    end
  until cursor == '0'
  return found
end
local function hash(key) return redis.call('HGETALL', key) end
local function list(key) return redis.call('LRANGE', key, 0, -1) end
local added = ''
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'entries-added' then added = info[i + 1] end
  end
end
return {
  redis.call('XRANGE', KEYS[1], '-', '+'), added, list(KEYS[2]), hash(KEYS[3]), hash(KEYS[4]), hash(KEYS[5]),
  redis.call('ZRANGE', KEYS[6], 0, -1),
  redis.call('ZRANGE', KEYS[7], 0, -1, 'WITHSCORES'), redis.call('ZRANGE', KEYS[8], 0, -1),
  redis.call('ZRANGE', KEYS[9], 0, -1), hash(KEYS[10]), hash(KEYS[11]), redis.call('ZRANGE', KEYS[12], 0, -1),
  all(ARGV[1], list), all(ARGV[2], hash), all(ARGV[3], hash),
}`;

type Found<T> = [name: string, value: T][];

export async function takeSnapshot(redis: RedisClient, keys: Keys): Promise<Snapshot> {
  const names = [keys.stream, keys.returned, keys.owners, keys.parkedCounts, keys.books, keys.open];
  const dead = [keys.deadByTime, keys.deadByUser, keys.deadByReason, keys.deadUsers, keys.deadCounts];
  const all = [...names, ...dead, keys.deadResolved];
  const prefixes = [keys.parkedPrefix, keys.callPrefix, keys.deadPrefix];
  const reply = (await redis.eval(lua, all.length, ...all, ...prefixes)) as unknown[];
  const hashes = (found: Found<string[]>): Map<string, Hash> =>
    new Map(found.map(([name, flat]) => [name, asHash(flat)]));
  return {
    stream: reply[0] as [string, string[]][],
    added: reply[1] === '' ? null : Number(reply[1]),
    returned: reply[2] as string[],
    owners: asHash(reply[3]),
    parkedCounts: asHash(reply[4]),
    books: asHash(reply[5]),
    open: reply[6] as string[],
    deadByTime: asHash(reply[7]),
    deadByUser: reply[8] as string[],
    deadByReason: reply[9] as string[],
    deadUsers: asHash(reply[10]),
    deadCounts: asHash(reply[11]),
    deadResolved: reply[12] as string[],
    parked: new Map(reply[13] as Found<string[]>),
    records: hashes(reply[14] as Found<string[]>),
    letters: hashes(reply[15] as Found<string[]>),
  };
}

function asHash(flat: unknown): Hash {
  const list = flat as string[];
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < list.length; i += 2) pairs.push([list[i] ?? '', String(list[i + 1])]);
  // Not by assignment: a user may be called __proto__.
  return Object.fromEntries(pairs);
}
