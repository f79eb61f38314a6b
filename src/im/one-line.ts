import { cut } from '../event/text.ts';

const MAX_CHARS = 300;
/** Control and format characters (bidirectional overrides among them): they could rewrite a log or a terminal. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]+/gu;
/** A page that quotes the request's address would quote the signature with it. */
const signature = /(usersig(?:=|%3d))[^&\s"'<>]*/gi;

/**
 * Foreign text made fit for a log line, a dead letter and a terminal: one line, no control characters, no
 * signature, at most 300 characters; '' for what is no text.
 */
export function oneLine(text: unknown): string {
  if (typeof text !== 'string') return '';
  // Cut before the work as well: a text may be a megabyte, and this much is plenty to end up with 300.
  const tidy = cut(text, 16 * MAX_CHARS)
    .replace(signature, '$1…')
    .replace(unprintable, ' ');
  return cut(tidy.replace(/\s+/g, ' ').trim(), MAX_CHARS);
}
