// Runs the demo and draws what it prints as docs/img/demo.svg: `node scripts/record-demo.js`, after `npm run build`.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';

const [LINE_HEIGHT, CHARACTER_WIDTH, MARGIN, COLUMNS] = [18, 8.4, 16, 118];
const demo = spawn(process.execPath, ['dist/cli.js', 'demo'], { stdio: ['ignore', 'pipe', 'inherit'] });
let output = '';
demo.stdout.setEncoding('utf8').on('data', (text) => {
  output += text;
  process.stdout.write(text);
});
demo.on('close', (code) => {
  if (code !== 0) throw new Error(`the demo ended with ${code}: nothing is drawn`);
  const text = stripVTControlCharacters(output).split('\nWhat to try next')[0] ?? '';
  writeFileSync(new URL('../docs/img/demo.svg', import.meta.url), drawn(wrapped(text.trimEnd().split('\n'))));
  process.stdout.write('docs/img/demo.svg written\n');
});

/** @param {string[]} lines */
function wrapped(lines) {
  return lines.flatMap((line) => {
    if (line.length <= COLUMNS) return [line];
    const at = line.lastIndexOf(' ', COLUMNS);
    return [line.slice(0, at), `      ${line.slice(at + 1)}`];
  });
}

/** @param {string[]} lines */
function drawn(lines) {
  const escaped = (/** @type {string} */ text) =>
    text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  const height = lines.length * LINE_HEIGHT + 2 * MARGIN;
  const width = Math.round(COLUMNS * CHARACTER_WIDTH + 2 * MARGIN);
  const rows = lines.map((line, i) => {
    const kind = /^\s+✓/.test(line) ? ' class="good"' : /held|70403/.test(line) ? ' class="held"' : '';
    return `<text${kind} x="${MARGIN}" y="${MARGIN + (i + 0.75) * LINE_HEIGHT}" xml:space="preserve">${escaped(line)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="What npm run demo prints" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">
<style>rect{fill:#f6f8fa}text{fill:#1f2328}.good{fill:#1a7f37}.held{fill:#9a6700}@media (prefers-color-scheme: dark){rect{fill:#0d1117}text{fill:#e6edf3}.good{fill:#3fb950}.held{fill:#d29922}}</style>
<rect width="${width}" height="${height}" rx="8"/>
${rows.join('\n')}
</svg>
`;
}
