import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { addressMatcher } from '../../config/formats.ts';
import { Refusal } from '../refusal.ts';

/** From where a request comes, as far as it can be believed. */
export interface Caller {
  /** The client's address, behind proxies that are trusted. */
  readonly address: string;
  /** The name and port under which the browser reached the console. */
  readonly host: string;
  /** `https` if a trusted proxy says so. */
  readonly scheme: 'http' | 'https' | 'unknown';
  /** It came from a trusted proxy, so the header of its single sign-on counts. */
  readonly isTrusted: boolean;
}

interface Incoming {
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string;
}

/** Reads the caller. Headers of proxies count only from the listed addresses. */
export function createCallerReader(trustedProxies: readonly string[]): (request: Incoming) => Caller {
  const isProxy = addressMatcher(trustedProxies);
  return ({ headers, remoteAddress }) => {
    const { host = '' } = headers;
    if (!isProxy(remoteAddress)) {
      return { address: remoteAddress, host, scheme: 'unknown', isTrusted: false };
    }
    const client = listIn(headers['x-forwarded-for'])
      .map(bareAddress)
      .findLast((address) => !isProxy(address));
    const proto = listIn(headers['x-forwarded-proto']).at(-1);
    return {
      // What stands further to the left the client may have made up.
      address: client !== undefined && isIP(client) !== 0 ? client : remoteAddress,
      host: listIn(headers['x-forwarded-host']).at(-1) ?? host,
      scheme: proto === 'https' || proto === 'http' ? proto : 'unknown',
      isTrusted: true,
    };
  };
}

function listIn(header: string | readonly string[] | undefined): string[] {
  const items = String(header ?? '').split(',');
  return items.map((item) => item.trim()).filter((item) => item !== '');
}

/** Some proxies write a port, which is another one for each connection. */
function bareAddress(given: string): string {
  const [, inBrackets, v4] = /^\[([\da-f:.]+)\](?::\d+)?$|^([\d.]+):\d+$/i.exec(given) ?? [];
  return inBrackets ?? v4 ?? given;
}

/**
 * Refuses a name that is not the console's: a site whose name was made to lead here (DNS rebinding) would
 * otherwise count as the console itself. An address is no name, so it cannot be rebound.
 */
export function refuseForeignHost({ host }: Caller, allowedHosts: readonly string[]): void {
  const [, name = ''] = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i.exec(host) ?? [];
  const bare = name.replace(/^\[|\]$/g, '').toLowerCase();
  if (isIP(bare) !== 0 || bare === 'localhost') return;
  if (allowedHosts.some((allowed) => allowed.toLowerCase() === bare)) return;
  const message = `The console is not known as ${JSON.stringify(host.slice(0, 100))}.`;
  const advice =
    'If this is its name, add it to IMSYNC_CONSOLE_ALLOWED_HOSTS; behind a proxy, pass the name on as Host.';
  throw new Refusal(403, 'wrong-host', message, advice);
}

/** Whether a browser says that another site's page asks, one of a sub-domain or another port included. */
function isForeignSite(headers: IncomingHttpHeaders, own: readonly string[]): boolean {
  const site = headers['sec-fetch-site'];
  return site !== undefined && !own.includes(String(site));
}

/**
 * Refuses to be read for another site's page. It could not read the answer, but it could make a signed-on browser
 * ask for exports all day. `none`: the viewer typed the address.
 */
export function refuseForeignRead(headers: IncomingHttpHeaders): void {
  if (!isForeignSite(headers, ['same-origin', 'none'])) return;
  const message = "Another site's page asked for this, and not the console's own.";
  throw new Refusal(403, 'wrong-origin', message, 'Open the console itself, or send a Bearer token.');
}

/**
 * Refuses an act that another site's page asks for. Browsers say with each act which page it comes from. A
 * program with a token of its own need not (`isProgram`).
 */
export function refuseForeignOrigin(
  { host, scheme }: Caller,
  headers: IncomingHttpHeaders,
  isProgram: boolean,
): void {
  const { origin } = headers;
  const isForeign = isForeignSite(headers, ['same-origin']);
  if (origin === undefined && isProgram && !isForeign) return;
  const schemes = scheme === 'unknown' ? ['http', 'https'] : [scheme];
  const isOwn = schemes.some((own) => origin?.toLowerCase() === `${own}://${host.toLowerCase()}`);
  if (isOwn && !isForeign) return;
  const from = origin === undefined ? 'no page that is named' : JSON.stringify(origin.slice(0, 100));
  const message = `The act was asked for by ${from}, and not by the console's own page.`;
  const advice =
    'Act in the console itself, or send a Bearer token; behind a proxy, pass on Host and X-Forwarded-Proto.';
  throw new Refusal(403, 'wrong-origin', message, advice);
}
