/**
 * Primitives of the charts: text in, SVG text out. Colours are classes, so that a chart follows the reader's light
 * or dark mode by itself.
 */
const STYLE = `
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .quiet { fill: #59636e; }
  .axis { stroke: #d1d9e0; stroke-width: 1; }
  .ours { fill: #0969da; } .peer { fill: #9198a1; }
  .line { fill: none; stroke-width: 2; } .c0 { stroke: #0969da; } .c1 { stroke: #bc4c00; } .c2 { stroke: #818b98; }
  .dot.c0 { fill: #0969da; stroke: none; } .dot.c1 { fill: #bc4c00; stroke: none; } .dot.c2 { fill: #818b98; stroke: none; }
  .dashed { stroke-dasharray: 5 4; stroke-width: 1.5; }
  .ground { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .quiet { fill: #9198a1; } .axis { stroke: #3d444d; }
    .ours { fill: #4493f8; } .peer { fill: #656c76; } .ground { fill: #0d1117; }
    .c0 { stroke: #4493f8; } .c1 { stroke: #db6d28; } .c2 { stroke: #9198a1; }
    .dot.c0 { fill: #4493f8; } .dot.c1 { fill: #db6d28; } .dot.c2 { fill: #9198a1; }
  }`;

export function document(
  width: number,
  height: number,
  title: string,
  about: string,
  parts: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="t d">`,
    `<title id="t">${escaped(title)}</title>`,
    `<desc id="d">${escaped(about)}</desc>`,
    `<style>${STYLE}\n</style>`,
    rect('ground', 0, 0, width, height),
    text(16, 26, title, { kind: 'title' }),
    text(16, 45, about, { kind: 'quiet' }),
    ...parts,
    '</svg>\n',
  ].join('\n');
}

export function text(
  x: number,
  y: number,
  words: string,
  look: { readonly kind?: string; readonly anchor?: 'start' | 'middle' | 'end' } = {},
): string {
  const { kind = '', anchor = 'start' } = look;
  return `<text x="${short(x)}" y="${short(y)}" class="${kind}" text-anchor="${anchor}">${escaped(words)}</text>`;
}

export function rect(kind: string, x: number, y: number, width: number, height: number): string {
  return `<rect class="${kind}" x="${short(x)}" y="${short(y)}" width="${short(width)}" height="${short(height)}"/>`;
}

export function line(kind: string, x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="${kind}" x1="${short(x1)}" y1="${short(y1)}" x2="${short(x2)}" y2="${short(y2)}"/>`;
}

export function polyline(
  kind: string,
  points: readonly { readonly x: number; readonly y: number }[],
): string {
  return `<polyline class="${kind}" points="${points.map(({ x, y }) => `${short(x)},${short(y)}`).join(' ')}"/>`;
}

export function dot(kind: string, x: number, y: number): string {
  return `<circle class="dot ${kind}" cx="${short(x)}" cy="${short(y)}" r="3"/>`;
}

function escaped(words: string): string {
  return words
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function short(value: number): string {
  return String(Math.round(value * 10) / 10);
}
