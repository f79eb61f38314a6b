import type { Config } from './config.ts';
import type { Hidden } from './formats.ts';
import { type PlacedSetting, settings, valueAt } from './schema.ts';

export interface MaskedSetting {
  readonly path: string;
  /** Its environment variable; `''` if only a file can set it. */
  readonly variable: string;
  /** Its value as text: `(set)` for a secret, an address without its password, `(not set…)` for nothing. */
  readonly value: string;
  readonly origin: string;
  readonly doc: string;
}

/** Lists every setting with its value and source, free of secrets. */
export function maskedView(loaded: {
  readonly config: Config;
  readonly origins: Readonly<Record<string, string>>;
}): readonly MaskedSetting[] {
  return settings.map((setting) => ({
    path: setting.path,
    variable: setting.env,
    value: masked(setting, valueAt(loaded.config, setting.path)),
    origin: loaded.origins[setting.path] ?? 'default',
    doc: setting.doc,
  }));
}

function masked({ reader, default: fallback, defaultText }: PlacedSetting, value: unknown): string {
  const isLeft = defaultText !== undefined && value === fallback;
  return isLeft ? `(not set: ${defaultText})` : shown(reader.hidden, value);
}

/** A value as text for people, without its secret part. An empty value becomes `(not set)`. */
export function shown(hidden: Hidden, value: unknown): string {
  const text = plain(value);
  if (text === '') return '(not set)';
  if (hidden === 'value') return '(set)';
  if (hidden === 'path' && !/[/\\]/.test(text)) return '(not shown: it does not look like a path)';
  return hidden === 'address' ? withoutPassword(text) : text;
}

/** A refused value for a sentence. It is quoted, so that blanks can be seen, and cut to 80 characters. */
export function quoted(hidden: Hidden, value: unknown): string {
  const asJson = typeof value === 'string' ? value : JSON.stringify(value);
  const safe = hidden === 'address' ? withoutPassword(asJson) : asJson;
  const short = safe.length > 80 ? `${safe.slice(0, 77)}...` : safe;
  return typeof value === 'string' ? JSON.stringify(short) : short;
}

/**
 * Removes the password from an address, and anything that might be one. A well-formed address keeps its user.
 * Any other text loses everything before its last `@` and after its first `?` or `#`.
 */
export function withoutPassword(address: string): string {
  const [, user, colon, rest] = /^(\w+:\/\/[^\s:/?#@]*)(:?)[^\s/?#@]*@([^\s?#@]*)$/.exec(address) ?? [];
  if (/^unix:\/\/\/[^?#@]*(\?db=\d+)?$/.test(address)) return address;
  if (user !== undefined) return `${user}${colon === ':' ? ':***' : ''}@${rest}`;
  return address.replace(/^(\w+:\/\/)?.*@/s, '$1***@').replace(/[?#].*$/s, '?***');
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(item).join(',');
  if (typeof value !== 'object') return String(value);
  const entries = Object.entries(value);
  return entries.map(([key, one]) => `${key}=${item(one)}`).join(',');
}

function item(one: unknown): string {
  if (typeof one !== 'object' || one === null || !('host' in one) || !('port' in one)) return String(one);
  const name = String(one.host);
  return `${name.includes(':') ? `[${name}]` : name}:${String(one.port)}`;
}
