/**
 * Loaded into a process before its own code (`NODE_OPTIONS=--import`): looks names up in a file of the test's own,
 * which may change meanwhile, as DNS may. A line holds a name and its addresses. Other names are looked up as ever.
 *
 * TEST_NAMES  the file
 */
import dns from 'node:dns';
import { readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { isIP } from 'node:net';

const file = process.env.TEST_NAMES ?? '';
const own = dns.lookup;

/** @param {string} name */
function addressesOf(name) {
  const lines = readFileSync(file, 'utf8').split('\n');
  const words = lines.map((line) => line.split(' ')).find(([first]) => first === name);
  return words?.slice(1).map((address) => ({ address, family: isIP(address) }));
}

/** @param {string} name @param {any[]} rest */
function lookup(name, ...rest) {
  const found = addressesOf(name);
  if (found === undefined) return Reflect.apply(own, dns, [name, ...rest]);
  const callback = rest.at(-1);
  const { family = 0, all = false } = typeof rest[0] === 'object' ? rest[0] : {};
  const fitting = found.filter((one) => family === 0 || one.family === family);
  const [first] = fitting;
  if (first === undefined) {
    const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' });
    process.nextTick(callback, error);
  } else if (all) process.nextTick(callback, null, fitting);
  else process.nextTick(callback, null, first.address, first.family);
}

dns.lookup = /** @type {any} */ (lookup);
syncBuiltinESMExports();
