import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { AppRedis } from '../../redis/keys.ts';
import type { Holder, TokenBook } from './tokens.ts';

/**
 * Sessions are signed, not stored: any worker accepts them, and they survive a restart. The key comes from the
 * token, so a session ends when its token goes. One that was ended by hand is listed in Redis until its time.
 */
export interface Session {
  readonly id: string;
  readonly holder: Holder;
  /** ms since 1970, this machine's clock. */
  readonly expiresAt: number;
}

export const SESSION_COOKIE = 'imsync_console';
/** An answer of Redis about a session serves so long for looking; acts always ask. */
const FRESH_MS = 5_000;
const MOST_REMEMBERED = 10_000;

export function createSessions(
  { redis, keys }: AppRedis,
  tokens: Pick<TokenBook, 'byId'>,
  lifeMs: number,
  now: () => number = Date.now,
) {
  const seenOpenAt = new Map<string, number>();
  const endedHere = new Map<string, number>();

  const isEnded = async (id: string, mustAsk: boolean): Promise<boolean> => {
    if (endedHere.has(id)) return true;
    if (!mustAsk && now() - (seenOpenAt.get(id) ?? 0) < FRESH_MS) return false;
    // While Redis is away, it has nothing to show either, and every act fails: the session stays open.
    const ended = await redis.hexists(keys.endedSessions, id).catch((error: Error) => {
      if (mustAsk) throw error;
      return 0;
    });
    if (ended === 0) remember(seenOpenAt, id, now());
    return ended === 1;
  };

  return {
    /** A new session; the value of its cookie. Nothing of an earlier cookie goes into it. */
    open(holder: Holder): { readonly cookie: string; readonly session: Session } {
      const session = { id: randomBytes(16).toString('hex'), holder, expiresAt: now() + lifeMs };
      const told = `${holder.id}.${session.id}.${session.expiresAt}`;
      return { cookie: `${told}.${sign(told, holder)}`, session };
    },
    /** The session of a cookie; undefined when it was forged, has ended, or its token is gone. */
    async find(cookie: string, mustAsk: boolean): Promise<Session | undefined> {
      const [, told = '', holderId = '', id = '', until = '', mac = ''] =
        /^(([\da-f]{32})\.([\da-f]{32})\.(\d{13,16}))\.([\w-]{43})$/.exec(cookie) ?? [];
      const holder = tokens.byId(holderId);
      if (holder === undefined) return undefined;
      if (!timingSafeEqual(Buffer.from(sign(told, holder)), Buffer.from(mac))) return undefined;
      const expiresAt = Number(until);
      if (expiresAt <= now() || (await isEnded(id, mustAsk))) return undefined;
      return { id, holder, expiresAt };
    },
    /** Ends it everywhere. Here it has ended even if this rejects because Redis is away. */
    async end({ id, expiresAt }: Session): Promise<void> {
      remember(endedHere, id, expiresAt);
      seenOpenAt.delete(id);
      const listed = await redis.hgetall(keys.endedSessions);
      const over = Object.keys(listed).filter((one) => Number(listed[one]) <= now());
      if (over.length > 0) await redis.hdel(keys.endedSessions, ...over);
      await redis.hset(keys.endedSessions, id, String(expiresAt));
    },
  };
}

function sign(told: string, { sessionKey }: Holder): string {
  return createHmac('sha256', sessionKey).update(told).digest('base64url');
}

/** Keeps the newest ones. */
function remember(map: Map<string, number>, id: string, value: number): void {
  map.delete(id);
  map.set(id, value);
  if (map.size > MOST_REMEMBERED) for (const oldest of map.keys()) return void map.delete(oldest);
}
