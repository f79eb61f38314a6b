/** Lines of a screen: pieces of text with a style each, cut to a width and then painted. Pure. */

export type Style = 'good' | 'warn' | 'bad' | 'faint' | 'title';
type Span = string | { readonly text: string; readonly style: Style };
export type Line = readonly Span[];

/** A style only underlines what the words say. */
const SGR: Readonly<Record<Style, string>> = { good: '32', warn: '33', bad: '1;31', faint: '2', title: '1' };

export function styled(style: Style, text: string): Span {
  return { text, style };
}

/** The lines as text, each at most `width` columns wide. */
export function painted(lines: readonly Line[], width: number, isColoured: boolean): string[] {
  return lines.map((line) => {
    let left = width;
    return line
      .map((span) => {
        const { text, style } = typeof span === 'string' ? { text: span, style: undefined } : span;
        const shown = clipped(text, left);
        left -= columns(shown);
        return isColoured && style !== undefined && shown !== ''
          ? `\x1b[${SGR[style]}m${shown}\x1b[0m`
          : shown;
      })
      .join('')
      .trimEnd();
  });
}

/** Characters that take two columns of a terminal: Chinese, Japanese, Korean, emoji. */
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const joining = /\p{M}/u;

export function columns(text: string): number {
  let sum = 0;
  for (const char of text) sum += wide.test(char) ? 2 : joining.test(char) ? 0 : 1;
  return sum;
}

/** What fits, with `…` where something is missing. */
export function clipped(text: string, width: number): string {
  if (columns(text) <= width) return text;
  let kept = '';
  let left = width - 1;
  for (const char of text) {
    left -= columns(char);
    if (left < 0) break;
    kept += char;
  }
  return width < 1 ? '' : `${kept}…`;
}
