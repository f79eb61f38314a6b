/**
 * Checks who imports whom in `src/` and `simulator/`: `node scripts/check-rooms.js [folder of the project]`.
 *
 * Rooms stand in an order; each may import itself and those above it, never one below. Some packages have one
 * room that knows them. The simulator imports nothing of ours, and only `cli` imports it. Prints `N modules, M imports, rooms in order`, or each offence as `file:line: sentence`
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
    'tracing',
    'proxy',
    'im',
    'redis',
    'producer',
    'database',
    'relay',
    'hold',
    'ledger',
    'pace',
    'calls',
    'intake',
    'delivery',
  ],
  ...[
    'logging',
    'tasks',
    'ops',
    'notices',
    'http-intake',
    'console',
    'doctor',
    'worker',
    'worker.ts',
    'index.ts',
    'outbox.ts',
    'cli',
  ],
];
/** A component beside `src/`, and the name under which package.json lets `src/` import it. */
const simulator = { home: 'simulator', specifier: '#simulator' };
/** What an app backend loads with an entry of the package; nothing else may come along. */
const roomsOfEntries = {
  'index.ts': ['config', 'event', 'redis', 'producer'],
  'outbox.ts': ['config', 'event'],
};
/** Package to the one room that imports it; with `typesAnywhere`, others may `import type`. */
const owners = new Map([
  ['bullmq', { room: 'calls', typesAnywhere: false }],
  ['got', { room: 'im', typesAnywhere: false }],
  ['socks', { room: 'proxy', typesAnywhere: false }],
  ['ioredis', { room: 'redis', typesAnywhere: true }],
  ['pg', { room: 'database', typesAnywhere: false }],
  ['mysql2', { room: 'database', typesAnywhere: false }],
]);

/**
 * @typedef {{ specifier: string | undefined, typeOnly: boolean, line: number }} Import
 * `specifier` is undefined where it is computed at run time.
 */

const root = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..'));
const declared = declaredPackages();
/** @type {string[]} */
const offences = [];
let importCount = 0;

const moduleCount = checkModules('src') + (declared.simulator ? checkModules(simulator.home) : 0);

if (offences.length === 0) {
  process.stdout.write(`${moduleCount} modules, ${importCount} imports, rooms in order\n`);
} else {
  process.stderr.write(`${offences.join('\n')}\n`);
  process.exitCode = 1;
}

/** @param {string} home a folder of the project @returns {number} how many modules it holds */
function checkModules(home) {
  const folder = join(root, home);
  const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
  const modules = names
    .filter((name) => /\.[cm]?[jt]sx?$/.test(name) && statSync(join(folder, name)).isFile())
    .sort();
  const before = importCount;
  for (const name of modules) checkModule(home, name.split(sep).join('/'));
  if (modules.length === 0) offences.push(`${folder}: holds no modules, so nothing was checked.`);
  else if (importCount === before) offences.push(`${folder}: holds modules but no import was found in them.`);
  return modules.length;
}

/** @param {string} home @param {string} name of a module, relative to `home` */
function checkModule(home, name) {
  const path = `${home}/${name}`;
  const room = home === simulator.home ? simulator.home : roomOf(name);
  if (room === undefined) offences.push(`${path}:1: belongs to no room; rooms are ${rooms.join(', ')}.`);
  const source = readFileSync(join(root, path));
  let found;
  try {
    found = importsOf(source);
  } catch (error) {
    const reason = String(error).split('\n').slice(0, 4).join(' ').trim();
    offences.push(`${path}:1: cannot be parsed: ${reason}`);
    return;
  }
  importCount += found.length;
  for (const one of found) {
    const problem = problemOf(path, room, one);
    if (problem !== undefined) offences.push(`${path}:${one.line}: ${problem}`);
  }
}

/**
 * @param {string} module @param {string | undefined} room @param {Import} one
 * @returns {string | undefined} a sentence on what is wrong with the import
 */
function problemOf(module, room, { specifier, typeOnly }) {
  if (specifier === undefined) return 'imports a computed name, which cannot be resolved.';
  if (isBuiltin(specifier)) return undefined;
  if (specifier === simulator.specifier && declared.simulator) {
    return room === 'cli' ? undefined : `only cli imports the simulator, but this is ${room}.`;
  }
  if (!/^\.\.?\//.test(specifier)) return packageProblem(room, specifier, typeOnly);
  const path = join(root, dirname(module), specifier);
  if (!existsSync(path) || !statSync(path).isFile()) {
    return `imports '${specifier}', which cannot be resolved to a file (extensions are written out).`;
  }
  const home = module.split('/')[0] ?? '';
  const target = relative(join(root, home), path).split(sep).join('/');
  if (target.startsWith('../')) return `imports '${specifier}', which lies outside ${home}/.`;
  if (room === simulator.home) return undefined;
  const other = roomOf(target);
  return room === undefined || other === undefined ? undefined : roomProblem(room, other);
}

/** @param {string} room @param {string} other @returns {string | undefined} */
function roomProblem(room, other) {
  if (room === other) return undefined;
  const allowed = Object.entries(roomsOfEntries).find(([entry]) => entry === room)?.[1];
  if (allowed !== undefined && !allowed.includes(other)) {
    return `${room} may import only ${allowed.join(', ')}, but this is of ${other}.`;
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

/** @returns {{ run: Set<string>, build: Set<string>, simulator: boolean }} what package.json names */
function declaredPackages() {
  const manifest = join(root, 'package.json');
  const read = existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')) : {};
  const run = { ...read.dependencies, ...read.optionalDependencies, ...read.peerDependencies };
  return {
    run: new Set(Object.keys(run)),
    build: new Set(Object.keys(read.devDependencies ?? {})),
    simulator: Object.hasOwn(read.imports ?? {}, simulator.specifier),
  };
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
