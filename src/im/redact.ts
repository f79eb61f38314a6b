import { cut, unprintable } from '../event/text.ts';
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

/**
 * Replaces the call's user IDs in a foreign text. One of fewer than 6 characters only as a whole word. Where the
 * text was cut, what is left of an ID goes too.
 */
export function withoutUsers(text: string, users: readonly string[]): string {
  if (text === '') return text;
  if (text.endsWith(CUT)) return withoutUsers(withoutRest(text.slice(0, -1), users), users) + CUT;
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

/** The text without the beginning of an ID at its end. */
function withoutRest(text: string, users: readonly string[]): string {
  const rests = users.map((user) => {
    let chars = user.length;
    while (!text.endsWith(user.slice(0, chars))) chars--;
    return chars;
  });
  return text.slice(0, text.length - Math.max(0, ...rests));
}

const MAX_CHARS = 300;
/** Stands at the end of a text that was cut. */
const CUT = '…';
/** The signature in an address. An error page may quote the address of the request. */
const signature = /(usersig(?:=|%3d))[^&\s"'<>]*/gi;

/**
 * Cleans a foreign text for a log line, a dead letter or a terminal: one line of at most 300 characters,
 * without control characters and signatures; `…` ends one that was longer. Returns '' if the value is no text.
 */
export function oneLine(text: unknown): string {
  if (typeof text !== 'string') return '';
  // The text is cut before the work, too: it may be a megabyte, and 300 characters are kept.
  const head = cut(text, 16 * MAX_CHARS);
  const tidy = head.replace(signature, '$1…').replace(unprintable, ' ').replace(/\s+/g, ' ').trim();
  return head === text && tidy.length <= MAX_CHARS ? tidy : cut(tidy, MAX_CHARS - 1) + CUT;
}
