/** What does not print, or prints something else than what is there: control and format characters, lone halves. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/gu;

export interface Piece {
  readonly text: string;
  readonly isEscaped: boolean;
}

/** Splits a text into what prints and what does not; the latter as `\u{202e}`. Pure. */
export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const { 0: char, index } of text.matchAll(unprintable)) {
    if (index > from) pieces.push({ text: text.slice(from, index), isEscaped: false });
    pieces.push({ text: `\\u{${char.codePointAt(0)?.toString(16)}}`, isEscaped: true });
    from = index + char.length;
  }
  if (from < text.length) pieces.push({ text: text.slice(from), isEscaped: false });
  return pieces;
}
