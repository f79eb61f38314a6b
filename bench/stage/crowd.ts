import type { Account } from '../../simulator/accounts/account-store.ts';
import type { Totals } from '../../src/ledger/totals.ts';
import type { RedisClient } from '../../src/redis/connect.ts';

/** `count` users `<prefix>0`, `<prefix>1` …, with the profile of that version. */
export interface Crowd {
  readonly prefix: string;
  readonly count: number;
  readonly version?: number;
  /** Each event carries a traceparent that is sampled. */
  readonly traced?: boolean;
}

export interface CrowdUser {
  readonly userId: string;
  readonly nick: string;
  readonly faceUrl: string;
}

export function userOf({ prefix, version = 1 }: Crowd, i: number): CrowdUser {
  return { userId: `${prefix}${i}`, nick: `Nick ${i} v${version}`, faceUrl: `https://example.com/${i}.png` };
}

export function usersOf(crowd: Crowd): CrowdUser[] {
  return Array.from({ length: crowd.count }, (_, i) => userOf(crowd, i));
}

/** Bytes of what the users are: no field names, no overhead. */
export function valueBytes(crowd: Crowd): number {
  return usersOf(crowd).reduce(
    (sum, { userId, nick, faceUrl }) => sum + `${userId}${nick}${faceUrl}`.length,
    0,
  );
}

/** The same entries as XADD from any client makes, written by the server itself: a million takes seconds. */
const FILL = `
for i = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local fields = { 'userId', ARGV[1] .. i, 'nick', 'Nick ' .. i .. ' v' .. ARGV[4],
    'faceUrl', 'https://example.com/' .. i .. '.png' }
  if ARGV[5] == '1' then
    fields[7], fields[8] = 'traceparent', string.format('00-%032x-%016x-01', i + 1, i + 1)
  end
  redis.call('XADD', KEYS[1], '*', unpack(fields))
end`;
const FILL_AT_ONCE = 5_000;

export async function fill(redis: RedisClient, stream: string, crowd: Crowd): Promise<void> {
  for (let from = 0; from < crowd.count; from += FILL_AT_ONCE) {
    const to = Math.min(crowd.count, from + FILL_AT_ONCE) - 1;
    await redis.eval(FILL, 1, stream, crowd.prefix, from, to, crowd.version ?? 1, crowd.traced ? 1 : 0);
  }
}

/**
 * What is wrong with where the events went, in sentences: each user of the crowds has an account with the newest
 * profile, nobody else has one. Of a user in several crowds the last one counts.
 */
export function wrongAccounts(crowds: readonly Crowd[], accounts: ReadonlyMap<string, Account>): string[] {
  const expected = new Map<string, string>();
  for (const crowd of crowds) for (const { userId, nick } of usersOf(crowd)) expected.set(userId, nick);
  let missing = 0;
  let stale = 0;
  for (const [userId, nick] of expected) {
    const account = accounts.get(userId);
    if (account === undefined) missing++;
    else if (account.nick !== nick) stale++;
  }
  const strangers = accounts.size - (expected.size - missing);
  return [
    ...(missing > 0 ? [`${missing} of ${expected.size} users have no account`] : []),
    ...(stale > 0 ? [`${stale} accounts do not hold the newest profile`] : []),
    ...(strangers > 0 ? [`${strangers} accounts belong to nobody`] : []),
  ];
}

/**
 * What is wrong with the books once all is drained: `events` came and ended as imported or superseded, and so did
 * `redriven` dead letters.
 */
export function wrongBooks(before: Totals, after: Totals, events: number, redriven = 0): string[] {
  const accepted = after.accepted - before.accepted;
  const ended = after.imported + after.superseded - before.imported - before.superseded;
  const dead = after.deadLettered - before.deadLettered;
  return [
    ...(accepted === events ? [] : [`${events} events were written, ${accepted} are in the books`]),
    ...(ended === events + redriven
      ? []
      : [`${ended} of ${events + redriven} ended as imported or superseded`]),
    ...(dead === -redriven ? [] : [`dead letters changed by ${dead}, not by ${-redriven}`]),
  ];
}
