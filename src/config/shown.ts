import type { Hidden } from './setting.ts';

/**
 * A value as people may see it, in a table or in a sentence about it; whether it was accepted or not.
 * An accepted empty one is `(not set)`.
 */
export function shown(hidden: Hidden, value: unknown): string {
  const text = plain(value);
  if (text === '') return '(not set)';
  if (hidden === 'value') return '(set)';
  if (hidden === 'path' && !/[/\\]/.test(text)) return '(not shown: it does not look like a path)';
  return hidden === 'address' ? withoutPassword(text) : text;
}

/** A refused value inside a sentence: quoted, so that blanks are seen, and not longer than 80 characters. */
export function quoted(hidden: Hidden, value: unknown): string {
  const asJson = typeof value === 'string' ? value : JSON.stringify(value);
  const safe = hidden === 'address' ? withoutPassword(asJson) : asJson;
  const short = safe.length > 80 ? `${safe.slice(0, 77)}...` : safe;
  return typeof value === 'string' ? JSON.stringify(short) : short;
}

/**
 * An address without its password, and without anything that might be one: a well-formed address keeps its
 * user; of anything else all before the last `@` and after a `?` goes.
 */
export function withoutPassword(address: string): string {
  const [, user, colon, rest] = /^(\w+:\/\/[^\s:/?#@]*)(:?)[^\s/?#@]*@([^\s?#@]*)$/.exec(address) ?? [];
  if (user !== undefined) return `${user}${colon === ':' ? ':***' : ''}@${rest}`;
  return address.replace(/^(\w+:\/\/)?.*@/s, '$1***@').replace(/[?#].*$/s, '?***');
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(item).join(',');
  if (typeof value !== 'object') return String(value);
  const entries = Object.entries(value);
  return entries.map(([key, one]) => `${key}=${String(one)}`).join(',');
}

function item(one: unknown): string {
  if (typeof one !== 'object' || one === null || !('host' in one) || !('port' in one)) return String(one);
  const name = String(one.host);
  return `${name.includes(':') ? `[${name}]` : name}:${String(one.port)}`;
}
