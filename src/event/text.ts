/** Judging text by its bytes and its well-formedness: what Redis and the API count. */

/** Length in UTF-8 bytes: the unit of every documented limit. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

/** Whether the text takes at most so many UTF-8 bytes; counts them only where its length leaves it open. */
export function fitsBytes(text: string, maxBytes: number): boolean {
  return text.length * 3 <= maxBytes || byteLength(text) <= maxBytes;
}

/**
 * Whether the text is what its producer wrote. A lone surrogate cannot be UTF-8, and U+FFFD is what a decoder
 * leaves where the bytes were not: either way the original is gone.
 */
export function isWellFormed(text: string): boolean {
  return text.isWellFormed() && !text.includes('\uFFFD');
}

/** Printable ASCII without the space: 0x21–0x7e. */
export function isPrintableAscii(text: string): boolean {
  return /^[\x21-\x7e]*$/.test(text);
}

/** The first `maxChars` characters, never half a surrogate pair. */
export function cut(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const head = text.slice(0, maxChars);
  return /[\uD800-\uDBFF]$/.test(head) ? head.slice(0, -1) : head;
}
