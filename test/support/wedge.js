/**
 * Loaded into a worker before its own code (`NODE_OPTIONS=--import`): one of its loops, WEDGE, asks something that is
 * never answered. A loop that hangs like that is what liveness is for.
 */
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { scriptTexts } from './script-texts.js';

const wedge = process.env.WEDGE;
const never = new Promise(() => {});
/** @type {Record<string, string>} */
const scripts = { coalescer: 'cut', 'slot queue': 'slot', notices: 'lease' };
const name = scripts[wedge ?? ''];
const sha =
  name && scriptTexts(new URL('../../dist/', import.meta.url)).find((script) => script.name === name)?.sha;
let passed = 0;

/**
 * @param {'evalsha' | 'zrangebyscore' | 'hgetall'} command
 * @param {(args: any[], redis: Redis) => boolean} hangs
 */
function hang(command, hangs) {
  const run = Redis.prototype[command];
  /** @this {Redis} @param {any[]} args */
  Redis.prototype[command] = /** @type {any} */ (
    function (...args) {
      return hangs(args, this) ? never : Reflect.apply(run, this, args);
    }
  );
}

// The first passing is let through: what hangs is a loop that ran.
hang('evalsha', ([first]) => first === sha && ++passed > 1);
hang('zrangebyscore', ([key]) => wedge === 'sweeper' && String(key).endsWith(':open-calls'));
hang(
  'hgetall',
  ([key], redis) =>
    wedge === 'prober' && String(key).endsWith(':hold') && redis.options.connectionName === 'imsync-commands',
);
if (wedge === 'call worker') {
  const moveToActive = /** @type {any} */ (Worker.prototype).moveToActive;
  /** @this {Worker} @param {any[]} args */
  /** @type {any} */ (Worker.prototype).moveToActive = function (...args) {
    return ++passed > 1 ? never : Reflect.apply(moveToActive, this, args);
  };
}
