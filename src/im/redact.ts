import { cut } from '../event/text.ts';
import type { CommandName } from './commands.ts';

const MARK = '[redacted]';

/**
 * The texts of a call that no error text may repeat: the signature, plain and as an address encodes it, and
 * the password (hosted mode).
 */
export function secretsIn(userSig: string, command: CommandName, body: string): string[] {
  const secrets = [userSig, encodeURIComponent(userSig), userSig.replaceAll('*', '%2A')];
  if (command === 'register_account_v1') {
    const { Password } = JSON.parse(body) as { Password?: unknown };
    if (typeof Password === 'string') secrets.push(Password, JSON.stringify(Password).slice(1, -1));
  }
  return [...new Set(secrets)].filter((secret) => secret !== '');
}

export function redact(text: string, secrets: readonly string[]): string {
  return secrets.reduce((clean, secret) => clean.replaceAll(secret, MARK), text);
}

/** Replaces the call's user IDs in a foreign text. One of fewer than 6 characters only as a whole word. */
export function withoutUsers(text: string, users: readonly string[]): string {
  if (text === '') return text;
  const short = new Set<string>();
  let clean = text;
  for (const user of [...users].sort((a, b) => b.length - a.length)) {
    if (user.length >= 6) clean = clean.replaceAll(user, '(user)');
    else short.add(user);
  }
  if (short.size === 0) return clean;
  return clean.replace(/[^\s,;:"'`()[\]{}<>=]+/g, (word) => {
    const bare = word.replace(/[.!?]+$/, '');
    return short.has(word) || short.has(bare) ? `(user)${word.slice(bare.length)}` : word;
  });
}

const MAX_CHARS = 300;
/** Control and format characters, also bidirectional overrides. They could falsify a log or a terminal. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]+/gu;
/** The signature in an address. An error page may quote the address of the request. */
const signature = /(usersig(?:=|%3d))[^&\s"'<>]*/gi;

/**
 * Cleans a foreign text for a log line, a dead letter or a terminal: one line of at most 300 characters,
 * without control characters and signatures. Returns '' if the value is no text.
 */
export function oneLine(text: unknown): string {
  if (typeof text !== 'string') return '';
  // The text is cut before the work, too: it may be a megabyte, and 300 characters are kept.
  const tidy = cut(text, 16 * MAX_CHARS)
    .replace(signature, '$1…')
    .replace(unprintable, ' ');
  return cut(tidy.replace(/\s+/g, ' ').trim(), MAX_CHARS);
}
