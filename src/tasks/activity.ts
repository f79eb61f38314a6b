import { hostname, userInfo } from 'node:os';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { fieldsOf } from '../redis/script.ts';

/** What an operator did. It names no user of the app, so it outlives a user's being forgotten. */
export interface Activity {
  /** ms since 1970, Redis's clock. */
  readonly at: number;
  readonly what: 'pause' | 'resume' | 'redrive' | 'delete' | 'forget' | 'import' | 'export';
  /** User and machine, after the name that was given, if one was. */
  readonly by: string;
  /** One line: the reason, or what was found and done. */
  readonly detail: string;
}

/** Redis trims by whole blocks, so it holds some more. An entry takes some 150 bytes. */
const KEPT = 1_000;
const MAX_DETAIL_CHARS = 500;

/** Rejects when Redis takes no entry, for instance because its memory is full. What was done stays done. */
export async function recordActivity(
  redis: RedisClient,
  keys: Keys,
  { what, by, detail }: Omit<Activity, 'at'>,
): Promise<void> {
  const fields = ['what', what, 'by', by, 'detail', detail.slice(0, MAX_DETAIL_CHARS)];
  await redis.xadd(keys.activity, 'MAXLEN', '~', String(KEPT), '*', ...fields);
}

/** The newest acts first, before a time if one is given. A later version may know more acts. */
export async function listActivity(
  redis: RedisClient,
  keys: Keys,
  limit: number,
  beforeMs?: number,
): Promise<Activity[]> {
  const newest = beforeMs === undefined ? '+' : `(${beforeMs}-0`;
  const entries = await redis.xrevrange(keys.activity, newest, '-', 'COUNT', limit);
  return entries.map(([id, flat]) => ({
    at: Number.parseInt(id, 10),
    ...fieldsOf<Pick<Activity, 'what' | 'by' | 'detail'>>(flat),
  }));
}

/** User and machine; after `name`, if one was given: `Ann, ticket 4711 (ann@ops1)`. */
export function operatorName(name?: string): string {
  const own = `${userName()}@${hostname()}`;
  return name === undefined ? own : `${name} (${own})`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // The user of a container may have no name.
    return String(process.getuid?.() ?? 'unknown');
  }
}
