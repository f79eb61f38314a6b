import { BlockList, isIP, isIPv4 } from 'node:net';

/**
 * The part of a value that must not be shown.
 * - `value`: all of it.
 * - `address`: the password inside an address.
 * - `path`: the path of a secret's file, unless it looks like a path. It may be the secret itself by mistake.
 */
export type Hidden = 'value' | 'address' | 'path' | undefined;

/**
 * Which values a setting accepts. Nothing is coerced, cut or guessed: "12abc" is not 12, "yes" is not true.
 * convict's own formats coerce (`parseInt`, any text but "false" is true), so they are not used.
 *
 * Both readers return `undefined` for a value that is not allowed; neither throws. `fromJson` also accepts
 * what either reader has returned, unchanged.
 */
export interface Format<T> {
  /** A noun phrase that completes the sentence "it must be …". */
  readonly allowed: string;
  /** A short form for tables, such as `1 to 100`; only for ranges and choices. */
  readonly range?: string;
  /** The allowed words, if the format is a choice. */
  readonly words?: readonly string[];
  readonly hidden?: Hidden;
  /** Why a refused text is none, as a clause; undefined when nothing special is wrong. It never quotes it. */
  readonly faultOf?: (text: string) => string | undefined;
  /** Reads an environment variable, which is never empty. */
  readonly fromText: (text: string) => T | undefined;
  /** Reads a value of a JSON file. */
  readonly fromJson: (value: unknown) => T | undefined;
}

interface Options extends Pick<Format<unknown>, 'range' | 'words' | 'hidden'> {
  /** Turns a text into what a JSON file would hold. Default: the text itself. */
  readonly parse?: (text: string) => unknown;
}

function format<T>(
  allowed: string,
  fromJson: Format<T>['fromJson'],
  { parse = (text) => text, ...shown }: Options = {},
): Format<T> {
  return { allowed, ...shown, fromText: (text) => fromJson(parse(text)), fromJson };
}

/** A whole number from `min` to `max`, both included. As text it consists of plain decimal digits. */
export function wholeNumber(min: number, max: number): Format<number> {
  const isOpen = max === Number.MAX_SAFE_INTEGER;
  return format(
    isOpen ? `a whole number of ${min} or more` : `a whole number from ${min} to ${max}`,
    (value) =>
      Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max ? Number(value) : undefined,
    {
      range: isOpen ? `${min} or more` : `${min} to ${max}`,
      parse: (text) => (/^(?:0|[1-9]\d*)$/.test(text) ? Number(text) : undefined),
    },
  );
}

/** A share of a whole, 0 to 1. As text it is a plain decimal number. */
export const share: Format<number> = format(
  'a number from 0 to 1',
  (value) => (typeof value === 'number' && value >= 0 && value <= 1 ? value : undefined),
  { range: '0 to 1', parse: (text) => (/^(?:\d+|\d*\.\d+)$/.test(text) ? Number(text) : undefined) },
);

export const bool: Format<boolean> = format(
  'true or false',
  (value) => (typeof value === 'boolean' ? value : undefined),
  {
    range: 'true, false',
    words: ['true', 'false'],
    parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
  },
);

/** One of the words, exactly as written here. */
export function oneOf<const T extends string>(words: readonly T[]): Format<T> {
  const range = words.join(', ');
  return format(`one of ${range}`, (value) => words.find((word) => word === value), { range, words });
}

/** A text that `read` accepts; `read` may also normalize it. */
function text(allowed: string, read: (given: string) => string | undefined, hidden?: Hidden): Format<string> {
  return format(allowed, (value) => (typeof value === 'string' ? read(value) : undefined), { hidden });
}

export function matching(allowed: string, pattern: RegExp, hidden?: Hidden): Format<string> {
  return text(allowed, (given) => (pattern.test(given) ? given : undefined), hidden);
}

/** Refuses also what `faultOf` knows to be something else. */
export function notMistaken(
  inner: Format<string>,
  faultOf: (text: string) => string | undefined,
): Format<string> {
  const read = (text: string): string | undefined =>
    faultOf(text) === undefined ? inner.fromText(text) : undefined;
  return {
    ...inner,
    faultOf,
    fromText: read,
    fromJson: (value) => (typeof value === 'string' ? read(value) : undefined),
  };
}

/** Adds to `format` the value `absent`, which means "not given". Only a file can say it. */
export function orAbsent<T, A extends string | number | null>(inner: Format<T>, absent: A): Format<T | A> {
  return { ...inner, fromJson: (value) => (value === absent ? absent : inner.fromJson(value)) };
}

/** The path of a file; `''` means none. */
export function filePath(hidden?: Hidden): Format<string> {
  return orAbsent(matching('the path of a file', /^[^\0\r\n]+$/, hidden), '');
}

/** A host name or an IP address, IPv6 without brackets. */
export const host: Format<string> = text('a host name or an IP address', (given) => {
  if (isIP(given) !== 0) return given;
  const labels = given.split('.');
  const named = given.length <= 253 && labels.every((label) => /^\w(?:[\w-]{0,61}\w)?$/.test(label));
  return named && !/^\d+$/.test(labels.at(-1) ?? '') ? given : undefined;
});

/** Whether a host is the loopback interface, so that no other machine can reach a listener there. */
export function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '::1' || (isIPv4(name) && name.startsWith('127.'));
}

/** One address of a cluster node or a sentinel; IPv6 without brackets. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Pairs `host:port`. A variable separates them by commas; a file has a list of texts or of {host, port}. */
export const hostPortList: Format<readonly HostPort[]> = format(
  'host:port pairs separated by commas (in a file: a list of them), IPv6 as [address]:port',
  (value) => (Array.isArray(value) ? every(value, hostPort) : undefined),
  { hidden: 'address', parse: (given) => given.split(',') },
);

/** Pairs `announced=reached` of two host:port. A variable separates them by commas; a file has an object. */
export const nodeMap: Format<Readonly<Record<string, HostPort>>> = format(
  'pairs announced=reached of host:port separated by commas (in a file: an object), IPv6 as [address]:port',
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const pairs = every(Object.entries(value), ([announced, reached]): [string, HostPort] | undefined => {
      const [from, to] = [hostPort(announced), hostPort(reached)];
      // ioredis looks IPv6 addresses up without brackets.
      return from === undefined || to === undefined ? undefined : [`${from.host}:${from.port}`, to];
    });
    return pairs === undefined ? undefined : Object.fromEntries(pairs);
  },
  {
    hidden: 'address',
    parse: (given) => {
      const pairs = given.split(',').map((pair) => pair.trim().split('='));
      return pairs.every((pair) => pair.length === 2) ? Object.fromEntries(pairs) : undefined;
    },
  },
);

const portNumber = wholeNumber(1, 65_535);

function hostPort(given: unknown): HostPort | undefined {
  if (typeof given === 'string') {
    const parts = /^(?:\[([\da-fA-F:.]+)\]|([^:[\]]+)):(\d+)$/.exec(given.trim());
    return hostAndPort(parts?.[1] ?? parts?.[2], portNumber.fromText(parts?.[3] ?? ''));
  }
  if (typeof given !== 'object' || given === null) return undefined;
  const { host: name, port, ...rest } = given as Partial<Record<string, unknown>>;
  return Object.keys(rest).length === 0 ? hostAndPort(name, portNumber.fromJson(port)) : undefined;
}

function hostAndPort(name: unknown, port: number | undefined): HostPort | undefined {
  const known = host.fromJson(name);
  return known === undefined || port === undefined ? undefined : { host: known, port };
}

/**
 * Secrets of printable ASCII: tokens, or addresses that hold them. A variable separates them by commas or
 * blanks; a file has a list. `what` names them.
 */
export function secretList(what: string): Format<readonly string[]> {
  return format(
    `${what} of printable ASCII characters separated by commas (in a file: a list of them)`,
    (value) => (Array.isArray(value) ? every(value, token.fromJson) : undefined),
    {
      hidden: 'value',
      parse: (given) => {
        const secrets = given.split(/[\s,]+/).filter((one) => one !== '');
        return secrets.length === 0 ? undefined : secrets;
      },
    },
  );
}

const token = matching('a token', /^[!-+\--~]+$/);

/** A list of items that `item` accepts. A variable separates them by commas; a file has a list. */
function listOf(allowed: string, item: Format<string>): Format<readonly string[]> {
  return format(
    `${allowed} separated by commas (in a file: a list of them)`,
    (value) => (Array.isArray(value) ? every(value, item.fromJson) : undefined),
    { parse: (given) => given.split(',').map((one) => one.trim()) },
  );
}

/** Texts without blanks at their ends. `what` names them. */
export function textList(what: string): Format<readonly string[]> {
  return listOf(
    `${what},`,
    text(what, (given) => (given.trim() === '' ? undefined : given)),
  );
}

/** Hosts as a browser names them, without a port. */
export const hostList = listOf('host names or IP addresses', host);

/** Names of people, as a single sign-on tells them. */
export const nameList = listOf('names', matching('a name', /^[^\p{Cc},]{1,200}$/u));

/** IP addresses and networks, such as 10.0.0.7 and 10.0.0.0/8. {@link addressMatcher} matches them. */
export const networkList = listOf(
  'IP addresses or networks such as 10.0.0.0/8',
  text('an IP address or a network', (given) => {
    const [address = '', bits, ...rest] = given.split('/');
    const most = isIPv4(address) ? 32 : 128;
    const isWhole = bits === undefined || wholeNumber(0, most).fromText(bits) !== undefined;
    return isIP(address) !== 0 && isWhole && rest.length === 0 ? given : undefined;
  }),
);

/** Whether an address is one of these, or lies in one of these networks. */
export function addressMatcher(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return (given) => {
    // A socket for both families names an IPv4 address so.
    const address = given.replace(/^::ffff:(?=\d+\.)/i, '');
    return isIP(address) !== 0 && list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
  };
}

/** An object whose keys match `key` and whose values are words of a choice. `what` names it. */
export function wordByKey<const T extends string>(
  what: string,
  key: RegExp,
  words: readonly T[],
): Format<Readonly<Record<string, T>>> {
  const word = oneOf(words);
  return format(`${what}, each to ${word.allowed}`, (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const entries = every(Object.entries(value), ([name, given]): [string, T] | undefined => {
      const known = word.fromJson(given);
      return key.test(name) && known !== undefined ? [name, known] : undefined;
    });
    return entries === undefined ? undefined : Object.fromEntries(entries);
  });
}

/** Reads all items; returns undefined if one of them is refused. */
function every<A, B extends object | string>(
  items: readonly A[],
  read: (item: A) => B | undefined,
): B[] | undefined {
  const known = items.map((item) => read(item)).filter((one) => one !== undefined);
  return known.length === items.length ? known : undefined;
}

/**
 * A `redis://` or `rediss://` address with a host and optionally port, user, password and database, or a
 * socket. `family`, and `db` of a socket, are the only query options that are allowed, so that no other
 * setting hides in the address.
 */
export const redisUrl: Format<string> = text(
  'a redis:// or rediss:// address such as redis://127.0.0.1:6379, with at most a user, a password and a database number, or a socket such as unix:///run/redis/redis.sock?db=2; a password with # / ? or % in it is written percent-encoded (%23 %2F %3F %25), or given by IMSYNC_REDIS_PASSWORD instead',
  (given) => {
    const socket = /^(?:unix:\/\/)?(\/[!-~]+?)(\?db=\d{1,4})?$/.exec(given);
    if (socket !== null) {
      const [, path = '', db = ''] = socket;
      return /[?#]/.test(path) || !isDecodable(path) ? undefined : `unix://${path}${db}`;
    }
    const url = urlOf(given, ['redis:', 'rediss:']);
    if (url === undefined || url.hash !== '') return undefined;
    const isPlain = /^(?:\/\d{0,4})?$/.test(url.pathname) && /^(?:\?family=[046])?$/.test(url.search);
    return isPlain && isDecodable(url.username + url.password) ? given : undefined;
  },
  'address',
);

/** Takes apart a Redis address that {@link redisUrl} has accepted. */
export function redisUrlParts(given: string) {
  const url = new URL(given);
  const isSocket = url.protocol === 'unix:';
  return {
    isSocket,
    tls: url.protocol === 'rediss:',
    hasUser: url.username !== '',
    hasPassword: url.password !== '',
    database: Number(isSocket ? url.searchParams.get('db') : url.pathname.slice(1)),
  };
}

/** An HTTP or HTTPS address with a host and optionally port and path. The final slash is removed. */
export const httpUrl: Format<string> = text(
  'an http:// or https:// address without user, password and query',
  (given) => {
    const url = urlOf(given, ['http:', 'https:']);
    return url === undefined || /[?#@]/.test(given) ? undefined : given.replace(/\/+$/, '');
  },
  'address',
);

/**
 * The address of a proxy: host and optionally port, user and password. Without a scheme it is http://, as
 * other programs read it. Names are resolved by the proxy; `socks5h` says so too.
 */
export const proxyUrl: Format<string> = text(
  'the address of a proxy such as http://user:password@proxy:3128 (or https://, socks5://); a user and a password with signs other than letters and digits are written percent-encoded',
  (given) => {
    const full = /^[\w.-]+:\d+\/?$/.test(given) ? `http://${given}` : given;
    const url = urlOf(full, ['http:', 'https:', 'socks5:', 'socks5h:']);
    const isPlain = url !== undefined && /^\/?$/.test(url.pathname) && url.search === '' && url.hash === '';
    return isPlain && isDecodable(url.username + url.password) ? full.replace(/\/$/, '') : undefined;
  },
  'address',
);

/** Hosts that are called without a proxy. A variable separates them by commas or blanks; a file has a list. */
export const noProxyList: Format<readonly string[]> = format(
  'a list of hosts separated by commas',
  (value) => (Array.isArray(value) ? every(value, noProxyHost.fromJson) : undefined),
  { parse: (given) => given.split(/[\s,]+/).filter((one) => one !== '') },
);

const noProxyHost = matching('a host', /^[!-+\--~]+$/);

function urlOf(given: string, protocols: readonly string[]): URL | undefined {
  if (!/^[a-z][a-z\d]*:\/\/[!-~]+$/.test(given) || !URL.canParse(given)) return undefined;
  const url = new URL(given);
  const hasHost = host.fromText(url.hostname.replace(/^\[(.*)\]$/, '$1')) !== undefined;
  return hasHost && url.port !== '0' && protocols.includes(url.protocol) ? url : undefined;
}

function isDecodable(encoded: string): boolean {
  try {
    decodeURIComponent(encoded);
    return true;
  } catch {
    return false;
  }
}
