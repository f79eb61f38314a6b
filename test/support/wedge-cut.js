/**
 * Loaded into a worker before its own code (`NODE_OPTIONS=--import`): from the second cut on, Redis's answer to cut.lua
 * is never delivered. A loop that hangs like that is what liveness is for.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';

const lua = readFileSync(new URL('../../dist/intake/cut.lua', import.meta.url), 'utf8');
const sha = createHash('sha1').update(lua).digest('hex');
const evalsha = Redis.prototype.evalsha;
let cuts = 0;

/** @this {import('ioredis').Redis} @param {any[]} args */
Redis.prototype.evalsha = function (...args) {
  if (args[0] === sha && ++cuts > 1) return new Promise(() => {});
  return Reflect.apply(evalsha, this, args);
};
