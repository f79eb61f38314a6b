import { type Config, ConfigError, type ReadFile } from '../config/config.ts';
import { redisUrlParts } from '../config/formats.ts';
import { withoutPassword } from '../config/mask.ts';
import { requireForRedis, requireForWorker } from '../config/requirements.ts';
import { readSecrets, type Secrets } from '../config/secrets.ts';
import { readTotals } from '../ledger/totals.ts';
import { readPresence } from '../ops/presence.ts';
import { readFleetState } from '../pace/hold/hold-state.ts';
import { quotasOf } from '../pace/quotas.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../redis/connect.ts';
import { keysOf } from '../redis/keys.ts';
import { redisSettings } from '../redis/settings.ts';
import { apiFindings, apiSkipped, userSigFinding } from './api-findings.ts';
import { probeApi, waitForProbeSlot } from './api-probe.ts';
import { type Finding, ok, skipped, wrong } from './finding.ts';
import { fleetFindings, fleetSkipped, planHint, quotaFindings } from './fleet-findings.ts';
import { readRedisFacts, redisAway, redisFindings } from './redis-findings.ts';

const REACH_MS = 3_000;

/** Checks everything that a worker with these settings depends on. Changes nothing, rejects for no problem. */
export async function examine(config: Config, readFile: ReadFile): Promise<Finding[]> {
  const [secrets, problems] = settingsProblems(config, readFile);
  const findings = configurationFindings(config, problems);
  findings.push(...(await redisAndFleet(config, readFile)));
  if (secrets === undefined) {
    findings.push(...apiSkipped('the settings are incomplete'));
    findings.push(skipped('user-sig', 'The UserSig was not checked: the settings are incomplete'));
  } else {
    const now = Date.now();
    const slot = waitForProbeSlot(config, readFile);
    findings.push(...apiFindings(config, await probeApi(config, readFile, slot)));
    findings.push(userSigFinding(secrets.userSig, config.app, now));
  }
  return [...findings, ...quotaFindings(quotasOf(config)), planHint()];
}

/** Returns the findings if the settings cannot be read. Then nothing else can be checked. */
export function unreadable(problems: readonly string[]): Finding[] {
  return [
    ...problems.map(configurationProblem),
    skipped('redis', 'Redis was not checked: the settings cannot be read'),
    ...apiSkipped('the settings cannot be read'),
  ];
}

function configurationFindings({ app, api }: Config, problems: readonly string[]): Finding[] {
  if (problems.length > 0) return problems.map(configurationProblem);
  const home = api.baseUrl === '' ? `region ${api.region}` : withoutPassword(api.baseUrl);
  return [
    ok('configuration', `The settings are complete: SDKAppID ${app.sdkAppId}, ${api.form} form, ${home}`),
  ];
}

function configurationProblem(problem: string): Finding {
  return wrong('configuration', problem, 'See every setting and its source: imsync config', 'configuration');
}

/** Returns the secrets, or undefined and the problems that keep a worker from starting. */
function settingsProblems(config: Config, readFile: ReadFile): [Secrets | undefined, string[]] {
  const problems: string[] = [];
  let secrets: Secrets | undefined;
  for (const step of [
    () => requireForWorker(config),
    () => {
      secrets = readSecrets(config, readFile);
    },
  ]) {
    try {
      step();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
    }
  }
  return [problems.length === 0 ? secrets : undefined, problems];
}

async function redisAndFleet(config: Config, readFile: ReadFile): Promise<Finding[]> {
  const address = withoutPassword(config.redis.url);
  const { database } = redisUrlParts(config.redis.url);
  let redis: RedisClient;
  try {
    requireForRedis(config);
    redis = openRedis(redisSettings(config, readFile), 'oneshot', 'doctor', () => undefined);
  } catch {
    // The configuration findings contain this error.
    return [skipped('redis', 'Redis was not checked: its settings are incomplete'), ...fleetSkipped()];
  }
  try {
    await whenReady(redis, REACH_MS);
    const facts = await readRedisFacts(redis, keysOf(config.app.sdkAppId));
    const found = redisFindings(facts, address, database, config.redis.allowVolatile);
    return [...found, ...(await fleetOf(redis, config))];
  } catch (error) {
    return [...redisAway(address, (error as Error).message), ...fleetSkipped()];
  } finally {
    await closeRedis(redis);
  }
}

async function fleetOf(redis: RedisClient, config: Config): Promise<Finding[]> {
  const keys = keysOf(config.app.sdkAppId);
  try {
    const totals = await readTotals(redis, keys);
    return fleetFindings({
      totals,
      state: readFleetState(await redis.hgetall(keys.hold)),
      workers: await readPresence(redis, keys, totals.nowMs),
    });
  } catch (error) {
    const text = `The workers' data in Redis cannot be read: ${(error as Error).message}`;
    return [
      wrong(
        'workers',
        text,
        `Allow the Redis user to run scripts and to use keys such as ${keys.stream} (docs/security.md).`,
      ),
    ];
  }
}
