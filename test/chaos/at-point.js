/**
 * Loaded into a process before its own code (`NODE_OPTIONS=--import`): stops or kills it at a named point.
 *
 * CHAOS_POINT    <what>:<when>[:<which>], the point:
 *                  <script>:before | <script>:after   a Lua script of the project is about to be run, or answered
 *                                                     as if it did something (`slot` granted, `cut` cut, `claim` got)
 *                  slot:after:<class>                 a slot of class 0-3 (live, retry, split, redrive), or `check`
 *                  post:sent[:<command>]              a call has left, its answer has not come
 *                  sweep:found                        the sweep has open calls before it, and looks at none yet
 * CHAOS_PASSING  at which passing; 1 is the first
 * CHAOS_ACT      SIGKILL, SIGSTOP, or THROW: every so many passings fail, as by a bug
 *
 * Writes `chaos: at <point>` to standard error just before.
 */
import { writeSync } from 'node:fs';
import http from 'node:http';
import { Redis } from 'ioredis';
import { scriptTexts } from '../support/script-texts.js';

const [what = '', when = '', which = ''] = (process.env.CHAOS_POINT ?? '').split(':');
const act = process.env.CHAOS_ACT ?? 'SIGKILL';
const every = Number(process.env.CHAOS_PASSING ?? 1);
const dist = new URL(process.env.CHAOS_DIST ?? '../../dist/', import.meta.url);
let passed = 0;

/** By text and by hash, as the first and every later run of a script name it. @type {Map<string, string>} */
const scripts = new Map();
for (const { name, lua, sha } of scriptTexts(dist)) scripts.set(lua, name).set(sha, name);

function pass() {
  passed++;
  if (act === 'THROW' && passed % every === 0) throw new Error('thrown by the test');
  if (act === 'THROW' || passed !== every) return;
  writeSync(2, `chaos: at ${process.env.CHAOS_POINT}\n`);
  process.kill(process.pid, /** @type {NodeJS.Signals} */ (act));
}

/** A value of an answer by name, which Redis sends as a flat list. @param {any} reply @param {string} name */
function named(reply, name) {
  return Array.isArray(reply) ? reply[reply.indexOf(name) + 1] : undefined;
}

/** Whether a script's answer is one of those the point is about. @param {any[]} args @param {any} reply */
function counts(args, reply) {
  const kind = named(reply, 'kind');
  if (what === 'cut') return kind === 'cut';
  if (what === 'claim') return kind === 'yours';
  if (what === 'settle') return reply[0] === 'settled';
  if (what === 'redrive') return named(reply, 'calls').length > 0;
  if (what !== 'slot') return true;
  if (kind !== 'slot') return false;
  const own = args.slice(2 + Number(args[1]));
  if (own[0] === 'check') return which === '' || which === 'check';
  return which === '' || String(own[7 + 2 * Number(named(reply, 'index'))]) === which;
}

for (const name of /** @type {const} */ (['evalsha', 'eval'])) {
  const run = Redis.prototype[name];
  /** @this {import('ioredis').Redis} @param {any[]} args */
  Redis.prototype[name] = /** @type {any} */ (
    async function (...args) {
      const mine = scripts.get(String(args[0])) === what;
      if (mine && when === 'before') pass();
      const reply = await Reflect.apply(run, this, args);
      if (mine && when === 'after' && counts(args, reply)) pass();
      return reply;
    }
  );
}

const zrangebyscore = Redis.prototype.zrangebyscore;
/** @this {import('ioredis').Redis} @param {any[]} args */
Redis.prototype.zrangebyscore = /** @type {any} */ (
  async function (...args) {
    const found = await Reflect.apply(zrangebyscore, this, args);
    if (what === 'sweep' && String(args[0]).endsWith(':open-calls') && found.length > 0) pass();
    return found;
  }
);

const end = http.ClientRequest.prototype.end;
/** @this {http.ClientRequest} @param {any[]} args */
http.ClientRequest.prototype.end = /** @type {any} */ (
  function (...args) {
    const command = this.path.split('?', 1)[0]?.split('/').at(-1) ?? '';
    if (what === 'post' && (which === '' || which === command)) this.once('finish', pass);
    return Reflect.apply(end, this, args);
  }
);
