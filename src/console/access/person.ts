import type { IncomingHttpHeaders } from 'node:http';
import { noSession, Refusal, wrongToken } from '../refusal.ts';
import type { Attempts } from './attempts.ts';
import type { Caller } from './origin.ts';
import { type createSessions, type Session, sessionCookiesIn } from './sessions.ts';
import type { Rights, TokenBook } from './tokens.ts';

/** Who asks, and what they may do. */
export interface Person {
  readonly name: string;
  readonly rights: Rights;
  /** Whether they may see user IDs and profiles. */
  readonly showUsers: boolean;
  readonly kind: 'session' | 'bearer' | 'sso';
  /** Only of the kind `session`. */
  readonly session?: Session;
}

export interface AccessOptions {
  readonly tokens: TokenBook;
  readonly sessions: ReturnType<typeof createSessions>;
  readonly attempts: Attempts;
  readonly showUsers: boolean;
  readonly basePath: string;
  /** Told of each wrong token. */
  readonly onWrongToken: (address: string) => void;
  /** The header of a single sign-on, in small letters; '' for none. */
  readonly ssoHeader: string;
  readonly ssoOperators: readonly string[];
}

/** Finds out who asks. Throws a Refusal when nobody does who may. `mustAsk`: it is an act. */
export async function personOf(
  options: AccessOptions,
  caller: Caller,
  headers: IncomingHttpHeaders,
  mustAsk: boolean,
): Promise<Person> {
  const bearer = bearerIn(headers);
  if (bearer !== undefined) return { ...withToken(options, caller, bearer), kind: 'bearer' };
  for (const cookie of sessionCookiesIn(headers.cookie ?? '', caller.scheme, options.basePath)) {
    const session = await options.sessions.find(cookie, mustAsk);
    if (session === undefined) continue;
    const { name, rights } = session.holder;
    return { name, rights, showUsers: rights === 'act' || options.showUsers, kind: 'session', session };
  }
  const signedOn = signedOnAs(options, caller, headers);
  if (signedOn === undefined) throw noSession();
  return signedOn;
}

/** The token that the request itself brings. */
export function bearerIn({ authorization = '' }: IncomingHttpHeaders): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization)?.[1];
}

/** The holder of a token. Throws a Refusal for a wrong one, and for one that comes too soon after a wrong one. */
export function withToken(
  { tokens, attempts, showUsers, onWrongToken }: AccessOptions,
  { address }: Caller,
  secret: string,
): Omit<Person, 'kind' | 'session'> & { readonly id: string } {
  const waitMs = attempts.waitMs(address);
  if (waitMs > 0) {
    const seconds = Math.ceil(waitMs / 1_000);
    const message = 'Too many wrong tokens came from this address.';
    throw new Refusal(429, 'too-many', message, `Try again in ${seconds} s.`, seconds);
  }
  const holder = tokens.find(secret);
  if (holder === undefined) {
    attempts.failed(address);
    onWrongToken(address);
    throw wrongToken();
  }
  attempts.succeeded(address);
  const { id, name, rights } = holder;
  return { id, name, rights, showUsers: rights === 'act' || showUsers };
}

/** The person that a trusted proxy names. From any other address the header means nothing. */
function signedOnAs(
  { ssoHeader, ssoOperators, showUsers }: AccessOptions,
  { isTrusted }: Caller,
  headers: IncomingHttpHeaders,
): Person | undefined {
  const given = ssoHeader === '' || !isTrusted ? undefined : headers[ssoHeader];
  // A header that came twice, Node joins with a comma: which one is the proxy's cannot be told.
  const name = typeof given === 'string' ? utf8(given).trim() : '';
  if (!/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\uFFFD,]{1,200}$/u.test(name)) return undefined;
  const rights = ssoOperators.includes(name) ? 'act' : 'view';
  return { name, rights, showUsers: rights === 'act' || showUsers, kind: 'sso' };
}

/** Node reads headers byte by byte; proxies write names in UTF-8. */
function utf8(header: string): string {
  return Buffer.from(header, 'latin1').toString('utf8');
}
