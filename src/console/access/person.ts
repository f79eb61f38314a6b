import type { IncomingHttpHeaders } from 'node:http';
import { noSession, Refusal, wrongToken } from '../refusal.ts';
import type { Attempts } from './attempts.ts';
import type { Caller } from './origin.ts';
import { type createSessions, SESSION_COOKIE, type Session } from './sessions.ts';
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
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return { ...withToken(options, caller, bearer), kind: 'bearer' };
  const cookie = cookieIn(headers.cookie);
  const session = cookie === undefined ? undefined : await options.sessions.find(cookie, mustAsk);
  if (session !== undefined) {
    const { name, rights } = session.holder;
    return { name, rights, showUsers: rights === 'act' || options.showUsers, kind: 'session', session };
  }
  const signedOn = signedOnAs(options, caller, headers);
  if (signedOn === undefined) throw noSession();
  return signedOn;
}

/** The holder of a token. Throws a Refusal for a wrong one, and for one that comes too soon after a wrong one. */
export function withToken(
  { tokens, attempts, showUsers }: AccessOptions,
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
  const name = typeof given === 'string' ? given.trim() : '';
  if (!/^[^\p{Cc},]{1,200}$/u.test(name)) return undefined;
  const rights = ssoOperators.includes(name) ? 'act' : 'view';
  return { name, rights, showUsers: rights === 'act' || showUsers, kind: 'sso' };
}

function cookieIn(header = ''): string | undefined {
  const found = header.split(';').map((pair) => pair.trim().split('='));
  return found.find(([name]) => name === SESSION_COOKIE)?.[1];
}
