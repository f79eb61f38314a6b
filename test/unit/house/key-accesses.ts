import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { keysOf } from '../../../src/redis/keys.ts';

/** Which files of a source tree read and write which Redis structures: found in the text of its scripts and modules. */

export interface Access {
  /** A name of src/redis/keys.ts. */
  readonly key: string;
  /** The script or module, from the top of the project. A part of scripts is none: its accesses are theirs. */
  readonly file: string;
  /** `passed`: a module hands the key on, and only its callee knows what for. */
  readonly kind: 'read' | 'write' | 'passed';
}

export interface Found {
  readonly accesses: readonly Access[];
  /** Sentences on what cannot be followed: then the check would look at less than everything. */
  readonly problems: readonly string[];
}

const reads = new Set(
  `exists hexists hget hgetall hlen hmget get lindex llen lrange xlen xrange xrevrange xread zcard zcount zlexcount zrange
   zrangebylex zrangebyscore zrevrange zrevrangebylex zscan zscore`.split(/\s+/),
);
const writes = new Set(
  `del expire hdel hincrby hset hsetnx lpush lrem lset ltrim pexpire publish rpush set xadd xdel xtrim zadd zrem
   zremrangebyscore`.split(/\s+/),
);
const names = Object.keys(keysOf(1));

/** The names of keys.ts, and what one structure below a prefix is called in scripts: `call` is one of callPrefix. */
const aliases = new Map([
  ...names.map((name) => [name, name] as const),
  ...names.flatMap((name) => (name.endsWith('Prefix') ? [[name.slice(0, -6), name] as const] : [])),
  ['deadLetter', 'deadPrefix'] as const,
]);

export function findAccesses(root: string): Found {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|lua)$/.test(name))
    .map((name) => `src/${name}`)
    .sort();
  const textOf = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
  const problems: string[] = [];
  const parts = new Map(
    files.filter((file) => file.endsWith('.lua')).map((file) => [file, parseLua(file, textOf, problems)]),
  );
  const accesses: Access[] = [];
  // script.ts joins the prelude to every script.
  const joined = new Set<string>(['src/redis/prelude.lua']);
  for (const file of files.filter((name) => name.endsWith('.ts'))) {
    const text = textOf.get(file) ?? '';
    const scripts = scriptsIn(file, text);
    for (const script of scripts.values()) {
      for (const part of script) joined.add(part);
      accesses.push(...accessesOf(script, parts, problems));
    }
    const named = [...scripts].filter(([, script]) =>
      /^nameKeys\(/m.test(textOf.get(script.at(-1) ?? '') ?? ''),
    );
    accesses.push(...accessesIn(file, withoutCalls(text, new Set(named.map(([constant]) => constant)))));
    for (const [, constant = ''] of text.matchAll(/\baskScript\(\s*[\w.#]+,\s*(\w+)/g)) {
      const script = scripts.get(constant)?.at(-1) ?? '';
      const [, list = ''] = /^nameKeys\(([^)]*)\)/m.exec(textOf.get(script) ?? '') ?? [];
      for (const [, name = ''] of list.matchAll(/'(\w+)'/g))
        if (!names.includes(name)) problems.push(`${script}: askScript knows no key ${name}`);
    }
    if (/\}\s*=\s*(?:[\w.#]+\.#?)?keys;/.test(text))
      problems.push(`${file} takes keys apart: write keys.NAME where one is used`);
  }
  for (const file of parts.keys()) if (!joined.has(file)) problems.push(`no module loads ${file}`);
  return { accesses, problems };
}

interface LuaFunction {
  readonly touched: readonly { readonly key: string; readonly kind: 'read' | 'write' }[];
  readonly calls: ReadonlySet<string>;
}

/** Functions of a Lua file by name, and its main chunk under ''. Functions begin and end at the margin. */
function parseLua(
  file: string,
  textOf: ReadonlyMap<string, string>,
  problems: string[],
): Map<string, LuaFunction> {
  const code = (textOf.get(file) ?? '').replace(/--.*$/gm, '');
  const bodies = new Map<string, string>();
  const main = code.replace(/^local function (\w+)(.*?)^end$/gms, (_, name: string, body: string) => {
    bodies.set(name, body);
    return '';
  });
  bodies.set('', main);
  // It takes KEYS[n] as its module passes it, and the module's own text names the key.
  const isRaw = code.includes('KEYS[') && !/^nameKeys\(/m.test(code);
  return new Map([...bodies].map(([name, body]) => [name, readFunction(file, body, isRaw, problems)]));
}

function readFunction(file: string, body: string, isRaw: boolean, problems: string[]): LuaFunction {
  const touched: { key: string; kind: 'read' | 'write' }[] = [];
  const note = (expression: string, command: string): void => {
    const [, name = ''] = /^(?:keys\.)?(\w+)/.exec(expression) ?? [];
    const key = aliases.get(name);
    const kind = reads.has(command) ? 'read' : writes.has(command) ? 'write' : undefined;
    if (key === undefined && isRaw) return;
    if (key === undefined) problems.push(`${file}: ${command} of ${expression}, which is no name of a key`);
    else if (kind === undefined) problems.push(`${file}: is ${command} a read or a write?`);
    else touched.push({ key, kind });
  };
  for (const [, command = '', key] of body.matchAll(
    /redis\.p?call\(\s*'(\w+)'(?:,\s*([\w.]+(?:\[\w+\])?))?/g,
  ))
    if (key !== undefined) note(key, command.toLowerCase());
  for (const [, key = ''] of body.matchAll(/readFields\(\s*([\w.]+)/g)) note(key, 'hmget');
  return { touched, calls: new Set([...body.matchAll(/\b(\w+)\(/g)].map(([, name = '']) => name)) };
}

/** Accesses of a script: those of its main chunk, and of all functions that it reaches in its parts. */
function accessesOf(
  script: readonly string[],
  parts: ReadonlyMap<string, ReadonlyMap<string, LuaFunction>>,
  problems: string[],
): Access[] {
  const file = script.at(-1) ?? '';
  const functions = new Map<string, LuaFunction>();
  const left: LuaFunction[] = [];
  for (const part of script) {
    for (const [name, one] of parts.get(part) ?? []) {
      if (name === '') left.push(one);
      else if (functions.has(name)) problems.push(`${file} joins two functions ${name}`);
      else functions.set(name, one);
    }
  }
  const reached = new Set(left);
  for (const one of reached) {
    for (const name of one.calls) {
      const called = functions.get(name);
      if (called !== undefined) reached.add(called);
    }
  }
  return [...reached].flatMap(({ touched }) => touched.map((access) => ({ ...access, file })));
}

/** The scripts that a module loads: its constant, and the files that are joined. */
function scriptsIn(file: string, text: string): Map<string, string[]> {
  const calls = text.matchAll(/const (\w+) = loadScript\(\s*import\.meta\.url,([^)]*)\)/g);
  return new Map(
    [...calls].map(([, constant = '', list = '']) => [
      constant,
      [...list.matchAll(/'([^']+\.lua)'/g)].map(([, part = '']) => relative('.', join(dirname(file), part))),
    ]),
  );
}

/** The text without the calls that run one of these scripts: what they touch stands in the scripts. */
function withoutCalls(text: string, scripts: ReadonlySet<string>): string {
  let left = text;
  for (const { index } of [...text.matchAll(/\brunScript\(/g)].reverse()) {
    let end = text.indexOf('(', index) + 1;
    for (let depth = 1; depth > 0 && end < text.length; end++) {
      if (text[end] === '(') depth++;
      if (text[end] === ')') depth--;
    }
    const [, , script = ''] = /^runScript\(\s*([\w.#]+),\s*(\w+)/.exec(text.slice(index, end)) ?? [];
    if (scripts.has(script)) left = left.slice(0, index) + left.slice(end);
  }
  return left;
}

function accessesIn(file: string, text: string): Access[] {
  const found: Access[] = [];
  for (const { 1: key = '', index } of text.matchAll(/\b(?:this\.#)?keys\.(\w+)/g)) {
    if (!names.includes(key)) continue;
    const before = text.slice(Math.max(0, index - 60), index);
    const [, called, queued] = /(?:\.(\w+)\(|\[\s*'(\w+)',)\s*$/.exec(before) ?? [];
    const command = called ?? queued ?? '';
    const kind = writes.has(command) ? 'write' : reads.has(command) ? 'read' : 'passed';
    found.push({ key, file, kind });
  }
  return found;
}
