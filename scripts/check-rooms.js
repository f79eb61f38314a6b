/**
 * Checks who imports whom in `src/`: `node scripts/check-rooms.js [folder of the project]`.
 *
 * Rooms stand in an order; each may import itself and those above it, never one below. Some packages have one
 * room that knows them. Prints `N modules, M imports, rooms in order`, or each offence as `file:line: sentence`
 * and ends with 1. Finding nothing to check, a file it cannot read as TypeScript or an import that leads nowhere
 * is an offence too: a check that silently looks at less than everything is worth nothing.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync } from '@swc/core';

/** From the top to the bottom; `cli` is `cli.ts` and the folder. `worker` holds the parts that `worker.ts` puts together. */
const rooms = [
  ...[
    'config',
    'lifecycle',
    'event',
    'im',
    'redis',
    'producer',
    'pace',
    'ledger',
    'calls',
    'intake',
    'delivery',
  ],
  ...[
    'logging',
    'tasks',
    'ops',
    'http-intake',
    'doctor',
    'worker',
    'worker.ts',
    'index.ts',
    'demo',
    'cli',
    'simulator',
  ],
];
/** What an app backend loads with the producer; nothing else may come along. */
const roomsOfIndex = ['config', 'event', 'redis', 'producer'];
/** Package to the one room that imports it; with `typesAnywhere`, others may `import type`. */
const owners = new Map([
  ['bullmq', { room: 'calls', typesAnywhere: false }],
  ['got', { room: 'im', typesAnywhere: false }],
  ['ioredis', { room: 'redis', typesAnywhere: true }],
]);

/**
 * @typedef {{ specifier: string | undefined, typeOnly: boolean, line: number }} Import
 * `specifier` is undefined where it is computed at run time.
 */

const root = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..'));
const src = join(root, 'src');
const declared = declaredPackages();
/** @type {string[]} */
const offences = [];
let importCount = 0;

const modules = existsSync(src)
  ? readdirSync(src, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.[cm]?[jt]sx?$/.test(name) && statSync(join(src, name)).isFile())
      .sort()
  : [];
for (const name of modules) checkModule(name.split(sep).join('/'));
if (modules.length === 0) offences.push(`${src}: holds no modules, so nothing was checked.`);
else if (importCount === 0) offences.push(`${src}: holds modules but no import was found in them.`);

if (offences.length === 0) {
  process.stdout.write(`${modules.length} modules, ${importCount} imports, rooms in order\n`);
} else {
  process.stderr.write(`${offences.join('\n')}\n`);
  process.exitCode = 1;
}

/** @param {string} name of a module, relative to src/ */
function checkModule(name) {
  const room = roomOf(name);
  if (room === undefined) offences.push(`src/${name}:1: belongs to no room; rooms are ${rooms.join(', ')}.`);
  const source = readFileSync(join(src, name));
  let found;
  try {
    found = importsOf(source);
  } catch (error) {
    offences.push(
      `src/${name}:1: cannot be parsed: ${String(error).split('\n').slice(0, 4).join(' ').trim()}`,
    );
    return;
  }
  importCount += found.length;
  for (const one of found) {
    const problem = problemOf(name, room, one);
    if (problem !== undefined) offences.push(`src/${name}:${one.line}: ${problem}`);
  }
}

/**
 * @param {string} name @param {string | undefined} room @param {Import} one
 * @returns {string | undefined} a sentence on what is wrong with the import
 */
function problemOf(name, room, { specifier, typeOnly }) {
  if (specifier === undefined) return 'imports a computed name, which cannot be resolved.';
  if (isBuiltin(specifier)) return undefined;
  if (!/^\.\.?\//.test(specifier)) return packageProblem(room, specifier, typeOnly);
  const path = join(src, dirname(name), specifier);
  if (!existsSync(path) || !statSync(path).isFile()) {
    return `imports '${specifier}', which cannot be resolved to a file (extensions are written out).`;
  }
  const target = relative(src, path).split(sep).join('/');
  if (target.startsWith('../')) return `imports '${specifier}', which lies outside src/.`;
  const other = roomOf(target);
  return room === undefined || other === undefined ? undefined : roomProblem(room, other);
}

/** @param {string} room @param {string} other @returns {string | undefined} */
function roomProblem(room, other) {
  if (room === other) return undefined;
  if (room === 'simulator') return `simulator imports nothing of ours, but this is of ${other}.`;
  if (other === 'simulator') {
    return room === 'cli' ? undefined : `only cli imports simulator, but this is ${room}.`;
  }
  if (room === 'index.ts' && !roomsOfIndex.includes(other)) {
    return `index.ts may import only ${roomsOfIndex.join(', ')}, but this is of ${other}.`;
  }
  if (rooms.indexOf(other) < rooms.indexOf(room)) return undefined;
  return `${room} may not import ${other}, which stands below it.`;
}

/** @param {string | undefined} room @param {string} specifier @param {boolean} typeOnly @returns {string | undefined} */
function packageProblem(room, specifier, typeOnly) {
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  const owner = owners.get(name);
  if (owner !== undefined && owner.room !== room && !(typeOnly && owner.typesAnywhere)) {
    const types = owner.typesAnywhere ? ' (elsewhere only `import type`)' : '';
    return `only ${owner.room} imports '${name}'${types}.`;
  }
  const types = `@types/${name.replace('@', '').replace('/', '__')}`;
  if (declared.run.has(name) || (typeOnly && (declared.build.has(name) || declared.build.has(types)))) {
    return undefined;
  }
  return `imports '${specifier}', which cannot be resolved: package.json does not list ${name} in dependencies.`;
}

/** @param {string} name of a file, relative to src/ @returns {string | undefined} */
function roomOf(name) {
  const [first = '', ...rest] = name.split('/');
  if (rest.length === 0) return first === 'cli.ts' ? 'cli' : rooms.find((room) => room === first);
  return rooms.find((room) => room === first && !room.endsWith('.ts'));
}

/** @returns {{ run: Set<string>, build: Set<string> }} the packages that package.json names */
function declaredPackages() {
  const manifest = join(root, 'package.json');
  const read = existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')) : {};
  const run = { ...read.dependencies, ...read.optionalDependencies, ...read.peerDependencies };
  return { run: new Set(Object.keys(run)), build: new Set(Object.keys(read.devDependencies ?? {})) };
}

/** @param {Buffer} source @returns {Import[]} in the order of the file; comments and strings are no imports */
function importsOf(source) {
  /** @type {Import[]} */
  const found = [];
  /** @param {any} literal @param {boolean} typeOnly @param {{ start: number }} span byte offset, from 1 */
  const add = (literal, typeOnly, span) => {
    const line = source
      .subarray(0, span.start - 1)
      .toString('latin1')
      .split('\n').length;
    found.push({ specifier: textOf(literal), typeOnly, line });
  };
  /** @param {any} node */
  const walk = (node) => {
    if (typeof node !== 'object' || node === null) return;
    if (node.type === 'ImportDeclaration' || node.type === 'ExportAllDeclaration') {
      add(node.source, node.typeOnly, node.span);
    } else if (node.type === 'ExportNamedDeclaration' && node.source) {
      add(node.source, node.typeOnly, node.span);
    } else if (node.type === 'TsImportType') {
      add(node.argument, true, node.span);
    } else if (node.type === 'TsExternalModuleReference') {
      add(node.expression, false, node.span);
    } else if (node.type === 'CallExpression' && isImportCall(node.callee)) {
      add(node.arguments[0]?.expression, false, node.span);
    }
    for (const child of Object.values(node)) walk(child);
  };
  walk(parseSync(source.toString('utf8'), { syntax: 'typescript', target: 'es2022' }).body);
  return found;
}

/** @param {any} callee @returns {boolean} */
function isImportCall(callee) {
  return callee.type === 'Import' || (callee.type === 'Identifier' && callee.value === 'require');
}

/** @param {any} node @returns {string | undefined} */
function textOf(node) {
  if (node?.type === 'StringLiteral') return node.value;
  return node?.type === 'TemplateLiteral' && node.expressions.length === 0
    ? node.quasis[0].cooked
    : undefined;
}
