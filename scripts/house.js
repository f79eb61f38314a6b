/**
 * Prints the measures of the source tree as a table: `npm run house [-- FOLDER ...]`.
 *
 * Each folder is a checkout of the project and gets a column; without one it is this project. It measures what a
 * reader feels: how long files and functions are, how full folders are, and how comments are worded. It never fails.
 * The simulator is a component of its own; of it only files, lines and the largest file are told.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync } from '@swc/core';

/** Limits of the house: a short file, long functions, a long comment line (characters), a full folder (files). */
const SHORT_FILE = 50;
const LONG_FUNCTIONS = [80, 120];
const LONG_COMMENT = 110;
const FULL_FOLDER = 16;

const functionTypes = new Set([
  'ArrowFunctionExpression',
  'ClassMethod',
  'Constructor',
  'FunctionDeclaration',
  'FunctionExpression',
  'GetterProperty',
  'MethodProperty',
  'PrivateMethod',
  'SetterProperty',
]);

/** @typedef {{ path: string, text: string, lines: string[] }} File */
/** @typedef {{ where: string, lines: number }} Long */

const project = join(dirname(fileURLToPath(import.meta.url)), '..');
const folders = process.argv.slice(2).map((folder) => resolve(folder));
const roots = folders.length === 0 ? [project] : folders;
const columns = roots.map((root) => ({
  ...measure(filesIn(join(root, 'src'))),
  ...measureSimulator(filesIn(join(root, 'simulator'))),
}));
const names = roots.map((root) => basename(root));

const [first = {}] = columns;
for (const line of table([
  ['measure', ...names],
  ...Object.keys(first).map((measure) => [measure, ...columns.map((column) => String(column[measure]))]),
])) {
  process.stdout.write(`${line}\n`);
}

/** @param {string} folder @returns {File[]} its modules and scripts, sorted; none if there is no such folder */
function filesIn(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|lua)$/.test(name))
    .sort()
    .map((path) => {
      const text = readFileSync(join(folder, path), 'utf8');
      return { path, text, lines: text.replace(/\n$/, '').split('\n') };
    });
}

/** @param {File[]} files @returns {Record<string, string | number>} */
function measure(files) {
  const lengths = files.map(({ lines }) => lines.length).sort((a, b) => a - b);
  const scripts = files.filter(({ path }) => path.endsWith('.lua'));
  const modules = files.filter(({ path }) => path.endsWith('.ts'));
  const functions = modules.flatMap(functionsOf).sort((a, b) => b.lines - a.lines);
  const text = files.map((file) => file.text).join('\n');
  const short = lengths.filter((length) => length < SHORT_FILE).length;
  return {
    'files in src': files.length,
    'median lines of a file': median(lengths),
    [`files under ${SHORT_FILE} lines`]: `${Math.round((100 * short) / files.length)} %`,
    'lines in src': linesOf(files),
    'largest file': largest(files),
    'largest Lua file': largest(scripts),
    ...Object.fromEntries(
      LONG_FUNCTIONS.map((limit) => [
        `functions above ${limit} lines`,
        functions.filter(({ lines }) => lines > limit).length,
      ]),
    ),
    'longest function': functions[0] === undefined ? '–' : `${functions[0].lines} (${functions[0].where})`,
    [`folders with more than ${FULL_FOLDER} files`]: fullFolders(files),
    'doc comments that begin with "Of"': count(text, /\/\*\*\s*(\*\s*)?Of\b/g),
    'whoever, anew': count(text, /\b(whoever|anew)\b/gi),
    [`comment lines above ${LONG_COMMENT} characters`]: files.reduce(
      (sum, file) => sum + longComments(file),
      0,
    ),
  };
}

/** @param {File[]} files @returns {Record<string, string | number>} */
function measureSimulator(files) {
  return {
    'files in simulator': files.length,
    'lines in simulator': linesOf(files),
    'largest file in simulator': largest(files),
  };
}

/** @param {File[]} files @returns {number} */
function linesOf(files) {
  return files.reduce((sum, { lines }) => sum + lines.length, 0);
}

/** @param {number[]} sorted @returns {number} of an even number the lower one of the two in the middle */
function median(sorted) {
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

/** @param {File[]} files @returns {string} */
function largest(files) {
  const sorted = [...files].sort((a, b) => b.lines.length - a.lines.length);
  return sorted[0] === undefined ? '–' : `${sorted[0].lines.length} (${sorted[0].path})`;
}

/** @param {File[]} files @returns {string} files that stand in a folder itself count, not those of its subfolders */
function fullFolders(files) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { path } of files) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
  const full = [...counts].filter(([, number]) => number > FULL_FOLDER);
  const named = full.map(([folder, number]) => `${folder} ${number}`).join(', ');
  return full.length === 0 ? '0' : `${full.length} (${named})`;
}

/** @param {File} file @returns {number} in a module `--` begins an option in a help text */
function longComments({ path, lines }) {
  const start = path.endsWith('.lua') ? /^\s*--/ : /^\s*(\/\/|\/?\*)/;
  return lines.filter((line) => start.test(line) && line.length > LONG_COMMENT).length;
}

/** @param {string} text @param {RegExp} form @returns {number} */
function count(text, form) {
  return text.match(form)?.length ?? 0;
}

/** @param {File} file @returns {Long[]} every function of a module; one that holds another counts the inner lines, too */
function functionsOf({ path, text }) {
  const source = Buffer.from(text);
  /** @param {number} offset in bytes, from 1 */
  const lineOf = (offset) =>
    source
      .subarray(0, offset - 1)
      .toString('latin1')
      .split('\n').length;
  /** @type {Long[]} */
  const found = [];
  /** @param {any} node @param {string} name of the nearest declaration around it */
  const walk = (node, name) => {
    if (typeof node !== 'object' || node === null) return;
    const own = nameOf(node) ?? name;
    // A method holds a function without a type of its own; a signature of an overload has no body.
    if (functionTypes.has(node.type) && (node.body ?? node.function?.body)) {
      const lines = lineOf(node.span.end) - lineOf(node.span.start) + 1;
      found.push({ where: `${own} in ${path}`, lines });
    }
    for (const child of Object.values(node)) walk(child, own);
  };
  walk(parseSync(text, { syntax: 'typescript', target: 'es2022' }).body, 'the module');
  return found;
}

/** @param {any} node @returns {string | undefined} */
function nameOf(node) {
  return (
    node.identifier?.value ??
    (node.type === 'VariableDeclarator' ? node.id?.value : undefined) ??
    node.key?.value
  );
}

/** @param {string[][]} rows the first is the heading @returns {string[]} Markdown */
function table(rows) {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const lines = rows.map((row) => `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`);
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [...lines.slice(0, 1), rule, ...lines.slice(1)];
}
