import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { AppRedis } from '../../redis/keys.ts';
import type { Caller } from './origin.ts';
import type { Holder, TokenBook } from './tokens.ts';

/**
 * Sessions are signed, not stored: any worker accepts them, and they survive a restart. The key comes from the
 * token, so a session ends when its token goes. One that was ended by hand is listed in Redis until its time. While
 * the list is full, an end by hand ends all earlier sessions of the token: so nobody fills Redis by signing in and
 * out all day.
 */
export interface Session {
  readonly id: string;
  readonly holder: Holder;
  /** ms since 1970, this machine's clock. */
  readonly expiresAt: number;
}

const COOKIE = 'imsync_console';
/** Values of one name that are tried: one from a sub-domain may stand before the console's own. */
const MOST_COOKIES = 5;
/** An answer of Redis about a session serves so long for looking; acts always ask. */
const FRESH_MS = 5_000;
const MOST_REMEMBERED = 10_000;
/** Ended sessions that are listed, 96 bytes each. */
const MOST_LISTED = 1_000;
/** No session lasts longer (IMSYNC_CONSOLE_SESSION_MS). */
const LONGEST_MS = 30 * 86_400_000;

export function createSessions(
  { redis, keys }: AppRedis,
  tokens: Pick<TokenBook, 'byId'>,
  lifeMs: number,
  now: () => number = Date.now,
) {
  const seenOpenAt = new Map<string, number>();
  const endedHere = new Map<string, number>();

  const isEnded = async ({ id, holder, expiresAt }: Session, mustAsk: boolean): Promise<boolean> => {
    if (endedHere.has(id)) return true;
    if (!mustAsk && now() - (seenOpenAt.get(id) ?? 0) < FRESH_MS) return false;
    // While Redis is away, it has nothing to show either, and every act fails: the session stays open.
    const listed = await redis
      .hmget(keys.endedSessions, id, earlierOf(holder))
      .catch((error: Error): (string | null)[] => {
        if (mustAsk) throw error;
        return [];
      });
    const [own = null, earlier = null] = listed;
    const hasEnded = own !== null || expiresAt <= Number(earlier ?? 0);
    if (!hasEnded) remember(seenOpenAt, id, now());
    return hasEnded;
  };

  return {
    /** A new session; the value of its cookie. Nothing of an earlier cookie goes into it. */
    open(holder: Holder): { readonly cookie: string; readonly session: Session } {
      const session = { id: randomBytes(16).toString('hex'), holder, expiresAt: now() + lifeMs };
      const told = `${holder.id}.${session.id}.${session.expiresAt}`;
      return { cookie: `${told}.${sign(keys.endedSessions, told, holder)}`, session };
    },
    /** The session of a cookie; undefined when it was forged, has ended, or its token is gone. */
    async find(cookie: string, mustAsk: boolean): Promise<Session | undefined> {
      const [, told = '', holderId = '', id = '', until = '', mac = ''] =
        /^(([\da-f]{32})\.([\da-f]{32})\.(\d{13,16}))\.([\w-]{43})$/.exec(cookie) ?? [];
      const holder = tokens.byId(holderId);
      if (holder === undefined) return undefined;
      const own = sign(keys.endedSessions, told, holder);
      if (!timingSafeEqual(Buffer.from(own), Buffer.from(mac))) return undefined;
      const session = { id, holder, expiresAt: Number(until) };
      return session.expiresAt <= now() || (await isEnded(session, mustAsk)) ? undefined : session;
    },
    /** Ends it everywhere. Here it has ended even if this rejects because Redis is away. */
    async end({ id, holder, expiresAt }: Session): Promise<void> {
      remember(endedHere, id, expiresAt);
      seenOpenAt.delete(id);
      const listed = await redis.hgetall(keys.endedSessions);
      const over = Object.keys(listed).filter((one) => Number(listed[one]) <= now());
      if (over.length > 0) await redis.hdel(keys.endedSessions, ...over);
      const isFull = Object.keys(listed).length - over.length >= MOST_LISTED;
      const [field, until] = isFull
        ? [earlierOf(holder), Math.max(expiresAt, now() + lifeMs)]
        : [id, expiresAt];
      await redis.hset(keys.endedSessions, field, String(until));
      await redis.pexpire(keys.endedSessions, LONGEST_MS);
    },
  };
}

/** The field that ends all sessions of a holder which expire until its time. */
function earlierOf({ id }: Holder): string {
  return `until:${id}`;
}

/** For one app: browsers send a cookie to every port of a host, and a token may serve for several apps. */
function sign(app: string, told: string, { sessionKey }: Holder): string {
  return createHmac('sha256', sessionKey).update(`${app} ${told}`).digest('base64url');
}

/**
 * The name of the cookie. Behind TLS no other name of the domain can set or replace one with this prefix
 * (`__Host-`), which browsers refuse below a path: there it is at least never sent in the clear.
 */
export function sessionCookieName(isSecure: boolean, basePath: string): string {
  return isSecure ? `${basePath === '' ? '__Host-' : '__Secure-'}${COOKIE}` : COOKIE;
}

/** The values that may be a session's, in their order. `scheme`: as the browser reached the console. */
export function sessionCookiesIn(header: string, scheme: Caller['scheme'], basePath: string): string[] {
  const pairs = header.split(';').map((pair) => pair.trim().split('='));
  const names = [...(scheme === 'http' ? [] : [true]), ...(scheme === 'https' ? [] : [false])].map(
    (isSecure) => sessionCookieName(isSecure, basePath),
  );
  const values = names.flatMap((name) =>
    pairs.filter(([given]) => given === name).map(([, value = '']) => value),
  );
  return values.slice(0, MOST_COOKIES);
}

/** Keeps the newest ones. */
function remember(map: Map<string, number>, id: string, value: number): void {
  map.delete(id);
  map.set(id, value);
  if (map.size > MOST_REMEMBERED) for (const oldest of map.keys()) return void map.delete(oldest);
}
