import { type Format, host, text } from './formats.ts';

/**
 * A `redis://` or `rediss://` address with a host and optionally port, user, password and database. `family`
 * is the only query option of ioredis that is allowed, so that no other setting hides in the address.
 */
export const redisUrl: Format<string> = text(
  'a redis:// or rediss:// address such as redis://127.0.0.1:6379, with at most a user, a password and a database number',
  (given) => {
    const url = parsed(given);
    if (url === undefined || (url.protocol !== 'redis:' && url.protocol !== 'rediss:')) return undefined;
    const plain = /^(?:\/\d{0,4})?$/.test(url.pathname) && /^(?:\?family=[046])?$/.test(url.search);
    return plain && url.hash === '' && decodable(url) ? given : undefined;
  },
);

/**
 * An `http://` or `https://` address with a host and optionally port and path. The final slash is removed.
 */
export const httpUrl: Format<string> = text(
  'an http:// or https:// address without user, password and query',
  (given) => {
    const url = parsed(given);
    if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined;
    const bare = url.username === '' && url.password === '' && !/[?#@]/.test(given);
    return bare ? given.replace(/\/+$/, '') : undefined;
  },
);

/** Takes apart a Redis address that {@link redisUrl} has accepted. */
export function redisUrlParts(given: string): { tls: boolean; hasPassword: boolean; database: number } {
  const url = new URL(given);
  return {
    tls: url.protocol === 'rediss:',
    hasPassword: url.password !== '',
    database: Number(url.pathname.slice(1)),
  };
}

function parsed(given: string): URL | undefined {
  if (!/^[a-z]+:\/\/[!-~]+$/.test(given)) return undefined;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const name = url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '';
  return url !== undefined && host.fromText(name) !== undefined && url.port !== '0' ? url : undefined;
}

function decodable(url: URL): boolean {
  try {
    decodeURIComponent(url.username + url.password);
    return true;
  } catch {
    return false;
  }
}
