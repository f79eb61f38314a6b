import { redisAdvice } from '../redis/advice.ts';
import { isDatabaseRefused, isDatabaseWrong } from '../redis/database.ts';
import { aofProblem, policyProblem, versionProblem } from '../redis/requirements.ts';
import { duration, type Finding, ok, skipped, wrong } from './finding.ts';
import type { RedisFacts } from './redis-facts.ts';

/** A waiting event with its ID, nick and picture takes about 80 bytes in the stream; this allows for long ones. */
const EVENT_BYTES = 150;
/** Under this share of its limit Redis is about to refuse events. */
const LEAST_MEMORY_LEFT = 0.05;
/** Workers judge each other's signs of life by Redis's clock, within 20 s. */
const MAX_CLOCK_MS = 5_000;

const REDIS_CHECKS = ['database', 'version', 'role', 'policy', 'persistence', 'memory', 'clock'] as const;

/** What Redis is like. `address`: without its password. */
export function redisFindings(
  facts: RedisFacts,
  address: string,
  database: number,
  allowVolatile: boolean,
): Finding[] {
  return [
    ok('redis.reachable', `Redis answers at ${address}, within ${facts.roundTripMs.toFixed(1)} ms`),
    // A connection that stands is in it (redis/database.ts).
    ok('redis.database', `database ${database} is used, as asked for`),
    judged('version', versionProblem(facts), `Redis is ${facts.version}; 6.2 is enough`),
    roleFinding(facts),
    judged(
      'policy',
      policyProblem(facts),
      'Redis evicts nothing (maxmemory-policy noeviction)',
      allowVolatile,
    ),
    facts.aofEnabled && !facts.aofWritable
      ? wrong(
          'redis.persistence',
          'Redis could not write its append-only file, and refuses events',
          "Look at Redis's log, and at the space on its disk.",
        )
      : judged(
          'persistence',
          aofProblem(facts),
          'events survive a restart (append-only file on, last write went well)',
          allowVolatile,
        ),
    memoryFinding(facts),
    clockFinding(facts),
  ];
}

/** Redis cannot be asked: `reason` is ioredis's, or that it does not give the database. */
export function redisAway(address: string, reason: string): Finding[] {
  const problem = wrong(
    isDatabaseRefused(reason) ? 'redis.database' : 'redis.reachable',
    `Redis cannot be used at ${address}: ${reason}`,
    redisAdvice(reason),
    isDatabaseWrong(reason) ? 'configuration' : 'out-of-reach',
  );
  const unknown = REDIS_CHECKS.map((name) =>
    skipped(`redis.${name}`, `Redis's ${name}: not known without an answer`),
  );
  return [problem, ...unknown.filter(({ name }) => name !== problem.name)];
}

/** A problem's text is a sentence on what is, and one on what to do. */
function judged(name: string, problem: string | undefined, good: string, accepted = false): Finding {
  const id = `redis.${name}`;
  if (problem === undefined) return ok(id, good);
  const [text = problem, ...rest] = problem.split(/(?<=[a-z])\. /);
  if (accepted) return skipped(id, `${text}; accepted by IMSYNC_REDIS_ALLOW_VOLATILE`);
  return wrong(id, text, rest.join('. '));
}

function roleFinding({ role }: RedisFacts): Finding {
  return role === 'slave'
    ? wrong(
        'redis.role',
        'Redis is a replica here, which takes no events',
        'Point IMSYNC_REDIS_URL at the primary (or use IMSYNC_REDIS_MODE sentinel or cluster).',
      )
    : ok('redis.role', 'Redis is a primary, so it takes events');
}

function memoryFinding(facts: RedisFacts): Finding {
  const { maxmemoryBytes: limit, usedMemoryBytes: used, systemMemoryBytes: system } = facts;
  const name = 'redis.memory';
  const bound = limit > 0 ? limit : system;
  if (bound === 0) return skipped(name, 'memory left: Redis says neither its limit nor its machine’s memory');
  const left = Math.max(0, bound - used);
  const room = `${size(left)} left, room for about ${rounded(left / EVENT_BYTES)} waiting events of ${EVENT_BYTES} bytes`;
  const text =
    limit > 0
      ? `memory: ${size(used)} of ${size(limit)} in use; ${room}`
      : `memory: no limit of Redis's own (maxmemory 0), ${size(used)} in use of the machine's ${size(system)}; ${room} if nothing else needs it`;
  return left < LEAST_MEMORY_LEFT * bound
    ? wrong(name, text, 'Raise maxmemory, or find out what fills Redis: at the limit it refuses events.')
    : ok(name, text);
}

function clockFinding({ clockAheadMs, roundTripMs }: RedisFacts): Finding {
  const off = Math.abs(clockAheadMs);
  const name = 'redis.clock';
  if (off <= Math.max(1_000, roundTripMs)) return ok(name, "Redis's clock and this machine's agree");
  const text = `Redis's clock is ${duration(off)} ${clockAheadMs > 0 ? 'ahead of' : 'behind'} this machine's`;
  return off > MAX_CLOCK_MS
    ? wrong(name, text, 'Set both by NTP: ages of events and signs of life are judged by these clocks.')
    : ok(name, `${text}, which does no harm`);
}

function size(bytes: number): string {
  const gib = bytes / 2 ** 30;
  return gib >= 1 ? `${gib.toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}

/** Two digits that count; more would be a promise. */
function rounded(n: number): string {
  return n < 10 ? String(Math.floor(n)) : Number(n.toPrecision(2)).toLocaleString('en-US');
}
