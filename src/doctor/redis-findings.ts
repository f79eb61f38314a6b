import type { Config } from '../config/config.ts';
import type { RedisClient } from '../redis/connect.ts';
import { isDatabaseRefused, isDatabaseWrong } from '../redis/database.ts';
import type { Keys } from '../redis/keys.ts';
import { ownerTimeMs } from '../redis/owner.ts';
import {
  aofProblem,
  brokenFileProblem,
  policyProblem,
  readServerFacts,
  redisAdvice,
  roleProblem,
  versionProblem,
} from '../redis/requirements.ts';
import { redisAddress } from '../redis/settings.ts';
import { clockFinding, type Finding, notChecked, ok, skipped, wrong } from './finding.ts';

/** A waiting event with ID, nick and picture takes about 80 bytes in the stream; long ones take more. */
const EVENT_BYTES = 150;
/** With a smaller share of its memory left, Redis is about to refuse events. */
const MIN_MEMORY_LEFT = 0.05;
/** Workers check each other's presence by Redis's clock, within 20 s. */
const MAX_CLOCK_MS = 5_000;

/** What the doctor looks at. A worker's start depends on less. */
export type RedisFacts = Awaited<ReturnType<typeof readRedisFacts>>;

/** Takes two commands. Rejects with Redis's own error, for example if its ACL forbids INFO. */
export async function readRedisFacts(redis: RedisClient, keys: Keys) {
  const startedMs = performance.now();
  const redisMs = await ownerTimeMs(redis, keys);
  const roundTripMs = performance.now() - startedMs;
  /** Redis's clock minus ours, in ms. The error is at most half of the round trip. */
  const clockAheadMs = redisMs - (Date.now() - roundTripMs / 2);
  return { ...(await readServerFacts(redis, keys)), roundTripMs, clockAheadMs };
}

/** The findings about a Redis that answers. `address` contains no password. */
export function redisFindings(
  facts: RedisFacts,
  address: string,
  database: number,
  allowVolatile: boolean,
): Finding[] {
  return [
    ok('redis.reachable', `Redis answers at ${address} within ${facts.roundTripMs.toFixed(1)} ms`),
    // An open connection has selected the database (redis/database.ts).
    ok('redis.database', `Redis gives access to database ${database}, as configured`),
    requirement('version', versionProblem(facts), `Redis ${facts.version} is new enough (6.2 or newer)`),
    requirement('role', roleProblem(facts), 'Redis is a primary and accepts events'),
    requirement(
      'policy',
      policyProblem(facts),
      'Redis evicts nothing (maxmemory-policy noeviction)',
      allowVolatile,
    ),
    requirement(
      'persistence',
      brokenFileProblem(facts) ?? aofProblem(facts),
      'Events survive a restart: the append-only file is on, and its last write succeeded',
      allowVolatile && !facts.aofEnabled,
    ),
    memoryFinding(facts),
    clockFinding('redis.clock', 'Redis', -facts.clockAheadMs, {
      agreesWithinMs: Math.max(1_000, facts.roundTripMs),
      wrongAfterMs: MAX_CLOCK_MS,
      todo: 'Synchronise both machines by NTP. Their clocks decide the age of events and the presence of workers.',
    }),
  ];
}

/** The findings if Redis cannot be used. `reason` comes from ioredis or the database check. */
export function redisAway(config: Config, reason: string): Finding[] {
  const problem = wrong(
    isDatabaseRefused(reason) ? 'redis.database' : 'redis.reachable',
    `Redis cannot be used at ${redisAddress(config)}: ${reason}`,
    redisAdvice(reason, config),
    isDatabaseWrong(reason) ? 'configuration' : 'out-of-reach',
  );
  const others = notChecked('redis', 'Redis cannot be used');
  return [problem, ...others.filter(({ name }) => name !== problem.name)];
}

/** The first sentence of `problem` says what is wrong, the others say what to do. */
function requirement(name: string, problem: string | undefined, good: string, accepted = false): Finding {
  const id = `redis.${name}`;
  if (problem === undefined) return ok(id, good);
  const [text = problem, ...rest] = problem.split(/(?<=[a-z])\. /);
  if (accepted) return skipped(id, `${text}. IMSYNC_REDIS_ALLOW_VOLATILE allows this`);
  return wrong(id, text, rest.join('. '));
}

function memoryFinding(facts: RedisFacts): Finding {
  const { maxBytes: limit, usedBytes: used, systemBytes: system } = facts;
  const name = 'redis.memory';
  const bound = limit > 0 ? limit : system;
  if (bound === 0) {
    return skipped(
      name,
      'The free memory is unknown: Redis reports neither its limit nor the memory of its machine',
    );
  }
  const left = Math.max(0, bound - used);
  const use =
    limit > 0
      ? `Redis uses ${size(used)} of its limit of ${size(limit)}`
      : `Redis has no memory limit (maxmemory 0) and uses ${size(used)} of the machine's ${size(system)}`;
  const events = `about ${rounded(left / EVENT_BYTES)} waiting events of ${EVENT_BYTES} bytes`;
  const text = `${use}; the remaining ${size(left)} can hold ${events}`;
  return left < MIN_MEMORY_LEFT * bound
    ? wrong(name, text, 'Raise maxmemory, or find out what fills Redis. At the limit Redis refuses events.')
    : ok(name, text);
}

function size(bytes: number): string {
  const gib = bytes / 2 ** 30;
  return gib >= 1 ? `${gib.toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}

/** Formats a number with two significant digits, since it is an estimate. */
function rounded(n: number): string {
  return n < 10 ? String(Math.floor(n)) : Number(n.toPrecision(2)).toLocaleString('en-US');
}
