/** Length in UTF-8 bytes, the unit of every documented limit of the API. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

/**
 * Whether the text is what its producer wrote. A lone surrogate cannot be UTF-8, and a decoder writes U+FFFD
 * for bytes that are not UTF-8. In both cases the original text is lost.
 */
export function isWellFormed(text: string): boolean {
  return text.isWellFormed() && !text.includes('\uFFFD');
}

/** What may falsify a terminal or a log: control and format characters, bidirectional overrides among them. */
export const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/gu;

/** The first `maxChars` UTF-16 units of a text, without half a surrogate pair at the end. */
export function cut(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const head = text.slice(0, maxChars);
  return /[\uD800-\uDBFF]$/.test(head) ? head.slice(0, -1) : head;
}
