import { isIP, isIPv4 } from 'node:net';
import type { HostPort } from './config.ts';

/**
 * Defines which values a setting accepts. Nothing is coerced, cut or guessed: "12abc" is not 12, "yes" is not
 * true. convict's own formats coerce (`parseInt`, any text but "false" is true), so they are not used.
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
  /** Reads an environment variable, which is never empty. */
  readonly fromText: (text: string) => T | undefined;
  /** Reads a value of a JSON file. */
  readonly fromJson: (value: unknown) => T | undefined;
}

/** A whole number from `min` to `max`, both included. As text it consists of plain decimal digits. */
export function wholeNumber(min: number, max: number): Format<number> {
  const fromJson = (value: unknown): number | undefined =>
    Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max ? Number(value) : undefined;
  const open = max === Number.MAX_SAFE_INTEGER;
  return {
    allowed: open ? `a whole number of ${min} or more` : `a whole number from ${min} to ${max}`,
    range: open ? `${min} or more` : `${min} to ${max}`,
    fromText: (text) => (/^(?:0|[1-9]\d*)$/.test(text) ? fromJson(Number(text)) : undefined),
    fromJson,
  };
}

/** A share of a whole, 0 to 1. As text it is a plain decimal number. */
export const share: Format<number> = (() => {
  const fromJson = (value: unknown): number | undefined =>
    typeof value === 'number' && value >= 0 && value <= 1 ? value : undefined;
  return {
    allowed: 'a number from 0 to 1',
    range: '0 to 1',
    fromText: (text) => (/^(?:\d+|\d*\.\d+)$/.test(text) ? fromJson(Number(text)) : undefined),
    fromJson,
  };
})();

export const bool: Format<boolean> = {
  allowed: 'true or false',
  range: 'true, false',
  words: ['true', 'false'],
  fromText: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
  fromJson: (value) => (typeof value === 'boolean' ? value : undefined),
};

/** One of the words, exactly as written here. */
export function oneOf<T extends string>(words: readonly T[]): Format<T> {
  const find = (value: unknown): T | undefined => words.find((word) => word === value);
  const range = words.join(', ');
  return { allowed: `one of ${range}`, range, words, fromText: find, fromJson: find };
}

/** A text that `read` accepts; `read` may also normalize it. */
export function text(allowed: string, read: (given: string) => string | undefined): Format<string> {
  return {
    allowed,
    fromText: read,
    fromJson: (value) => (typeof value === 'string' ? read(value) : undefined),
  };
}

/** A text that matches `pattern`. */
export function matching(allowed: string, pattern: RegExp): Format<string> {
  return text(allowed, (given) => (pattern.test(given) ? given : undefined));
}

/** Adds to `format` the value `absent`, which means "not given". Only a file can say it. */
export function orAbsent<T, A extends string | number | null>(format: Format<T>, absent: A): Format<T | A> {
  return { ...format, fromJson: (value) => (value === absent ? absent : format.fromJson(value)) };
}

/** A host name or an IP address, IPv6 without brackets. */
export const host: Format<string> = text('a host name or an IP address', (given) => {
  if (isIP(given) !== 0) return given;
  const labels = given.split('.');
  const named = given.length <= 253 && labels.every((label) => /^\w(?:[\w-]{0,61}\w)?$/.test(label));
  return named && !/^\d+$/.test(labels.at(-1) ?? '') ? given : undefined;
});

const portNumber = wholeNumber(1, 65_535);

/**
 * `host:port` pairs. A variable separates them by commas; a file has a list of such texts or of {host, port}.
 */
export const hostPortList: Format<readonly HostPort[]> = {
  allowed: 'host:port pairs separated by commas (in a file: a list of them), IPv6 as [address]:port',
  fromText: (given) => every(given.split(','), hostPort),
  fromJson: (value) => (Array.isArray(value) ? every(value, hostPort) : undefined),
};

function hostPort(given: unknown): HostPort | undefined {
  if (typeof given === 'string') {
    const parts = /^(?:\[([\da-fA-F:.]+)\]|([^:[\]]+)):(\d+)$/.exec(given.trim());
    return parts === null
      ? undefined
      : hostAndPort(parts[1] ?? parts[2], portNumber.fromText(parts[3] ?? ''));
  }
  if (typeof given !== 'object' || given === null) return undefined;
  const pair = given as Partial<Record<string, unknown>>;
  return Object.keys(pair).every((key) => key === 'host' || key === 'port')
    ? hostAndPort(pair.host, portNumber.fromJson(pair.port))
    : undefined;
}

function hostAndPort(name: unknown, port: number | undefined): HostPort | undefined {
  const known = host.fromJson(name);
  return known === undefined || port === undefined ? undefined : { host: known, port };
}

/** Bearer tokens of printable ASCII. A variable separates them by commas or blanks; a file has a list. */
export const tokenList: Format<readonly string[]> = {
  allowed: 'tokens of printable ASCII characters separated by commas (in a file: a list of them)',
  fromText: (given) => {
    const tokens = given.split(/[\s,]+/).filter((token) => token !== '');
    return tokens.length === 0 ? undefined : every(tokens, token);
  },
  fromJson: (value) => (Array.isArray(value) ? every(value, token) : undefined),
};

function token(given: unknown): string | undefined {
  return typeof given === 'string' && /^[!-+\--~]+$/.test(given) ? given : undefined;
}

/** An object whose keys match `key` and whose values are words of a choice. */
export function wordByKey<T extends string>(
  allowed: string,
  key: RegExp,
  words: readonly T[],
): Format<Readonly<Record<string, T>>> {
  const word = oneOf(words);
  return {
    allowed,
    fromText: () => undefined,
    fromJson: (value) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
      const entries = every(Object.entries(value), ([name, given]): [string, T] | undefined => {
        const known = word.fromJson(given);
        return key.test(name) && known !== undefined ? [name, known] : undefined;
      });
      return entries === undefined ? undefined : Object.fromEntries(entries);
    },
  };
}

/** Reads all items; returns undefined if one of them is refused. */
function every<A, B>(items: readonly A[], read: (item: A) => B | undefined): B[] | undefined {
  const known: B[] = [];
  for (const item of items) {
    const one = read(item);
    if (one === undefined) return undefined;
    known.push(one);
  }
  return known;
}

/** Whether a host is the loopback interface, so that no other machine can reach a listener there. */
export function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '::1' || (isIPv4(name) && name.startsWith('127.'));
}

/** The path of a file; `''` means none. */
export const filePath = orAbsent(matching('the path of a file', /^[^\0\r\n]+$/), '');

/**
 * The part of a value that must not be shown.
 * - `value`: all of it.
 * - `address`: the password inside an address.
 * - `path`: the path of a secret's file, unless it looks like a path. It may be the secret itself by mistake.
 */
export type Hidden = 'value' | 'address' | 'path' | undefined;

/** Options of `setting` for a secret, and for the path of a file that holds one. */
export const secret = { hidden: 'value' } as const;
export const secretFile = { hidden: 'path' } as const;

/** A leaf of the schema: convict's members (default, doc, env, sensitive, format) and our strict reader. */
export interface Setting<T> {
  readonly default: T;
  readonly doc: string;
  /** The environment variable; `''` if only a file can set it. */
  readonly env: string;
  readonly sensitive: boolean;
  readonly format: (value: unknown) => void;
  readonly reader: Format<T>;
  readonly hidden: Hidden;
  /** Describes the default in tables, where its value alone does not. */
  readonly defaultText: string | undefined;
}

/** Defines a setting: its environment variable, accepted values, default and meaning. */
export function setting<T>(
  env: string,
  reader: Format<T>,
  fallback: T,
  doc: string,
  more: { hidden?: Hidden; defaultText?: string } = {},
): Setting<T> {
  return {
    default: fallback,
    doc,
    env,
    sensitive: more.hidden === 'value',
    format: (value) => {
      if (reader.fromJson(value) === undefined) throw new Error(`must be ${reader.allowed}`);
    },
    reader,
    hidden: more.hidden,
    defaultText: more.defaultText,
  };
}

type Scalar = string | number | boolean | null;
type IsLeaf<T> = T extends Scalar | readonly unknown[] ? true : string extends keyof T ? true : false;
/** The schema of a part of the configuration: the same keys, with a setting in place of each value. */
export type SchemaOf<T> = {
  readonly [K in keyof T]: IsLeaf<T[K]> extends false ? SchemaOf<T[K]> : Setting<T[K]>;
};
