import { type Config, ConfigError, type ReadFile } from '../config/config.ts';
import { withoutPassword } from '../config/mask.ts';
import { requireForRedis, requireForWorker } from '../config/requirements.ts';
import { readSecrets, type Secrets } from '../config/secrets.ts';
import { redisUrlParts } from '../config/urls.ts';
import { signUserSig } from '../im/user-sig.ts';
import { readTotals } from '../ledger/totals.ts';
import { readPresence } from '../ops/presence.ts';
import { readFleetState } from '../pace/hold/hold-state.ts';
import { quotasOf } from '../pace/quotas.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../redis/connect.ts';
import { keysOf } from '../redis/keys.ts';
import { redisSettings } from '../redis/settings.ts';
import { apiFindings, apiSkipped } from './api-findings.ts';
import { probeApi } from './api-probe.ts';
import { type Finding, ok, skipped, wrong } from './finding.ts';
import { fleetFindings, fleetSkipped, planHint, quotaFindings } from './fleet-findings.ts';
import { waitForProbeSlot } from './probe-slot.ts';
import { readRedisFacts } from './redis-facts.ts';
import { redisAway, redisFindings } from './redis-findings.ts';
import { userSigFinding } from './user-sig-finding.ts';

const REACH_MS = 3_000;
/** Long enough for one call. */
const SIGNATURE_SECONDS = 600;

/** Looks at everything a worker with these settings depends on, and changes nothing. Never rejects for what it finds. */
export async function examine(config: Config, readFile: ReadFile): Promise<Finding[]> {
  const [secrets, problems] = settingsProblems(config, readFile);
  const findings = configurationFindings(config, problems);
  findings.push(...(await redisAndFleet(config, readFile)));
  if (secrets === undefined) {
    findings.push(...apiSkipped('not asked before the settings are complete'));
    findings.push(skipped('user-sig', 'UserSig: not known before the settings are complete'));
  } else {
    const now = Date.now();
    const userSig = secrets.userSig ?? signed(config, secrets.secretKey ?? '', now);
    const slot = waitForProbeSlot(config, readFile);
    findings.push(...apiFindings(config, await probeApi(config, userSig, slot)));
    findings.push(userSigFinding(secrets.userSig, config.app, now));
  }
  return [...findings, ...quotaFindings(quotasOf(config)), planHint()];
}

/** Settings that cannot even be read: nothing else can be looked at. */
export function unreadable(problems: readonly string[]): Finding[] {
  return [
    ...problems.map(configurationProblem),
    skipped('redis', 'Redis: not asked before the settings can be read'),
    ...apiSkipped('not asked before the settings can be read'),
  ];
}

function configurationFindings({ app, api }: Config, problems: readonly string[]): Finding[] {
  if (problems.length > 0) return problems.map(configurationProblem);
  const home = api.baseUrl === '' ? `region ${api.region}` : withoutPassword(api.baseUrl);
  return [
    ok('configuration', `the settings are complete: SDKAppID ${app.sdkAppId}, ${api.form} form, ${home}`),
  ];
}

function configurationProblem(problem: string): Finding {
  return wrong('configuration', problem, 'See what is set, and from where: imsync config', 'configuration');
}

/** The secrets, or undefined with what keeps a worker from starting. */
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
    // What is wrong was said among the settings.
    return [skipped('redis', 'Redis: not asked before its settings are complete'), ...fleetSkipped()];
  }
  try {
    await whenReady(redis, REACH_MS);
    const facts = await readRedisFacts(redis, keysOf(config.app.sdkAppId));
    const found = redisFindings(facts, address, database, config.redis.allowVolatile);
    return [...found, ...(await fleetAt(redis, config))];
  } catch (error) {
    return [...redisAway(address, (error as Error).message), ...fleetSkipped()];
  } finally {
    await closeRedis(redis);
  }
}

async function fleetAt(redis: RedisClient, config: Config): Promise<Finding[]> {
  const keys = keysOf(config.app.sdkAppId);
  try {
    const books = await readTotals(redis, keys);
    return fleetFindings({
      books,
      state: readFleetState(await redis.hgetall(keys.hold)),
      workers: await readPresence(redis, keys, books.nowMs),
    });
  } catch (error) {
    const text = `what the workers keep in Redis cannot be read: ${(error as Error).message}`;
    return [
      wrong(
        'workers',
        text,
        `Let the Redis user run scripts, and read and write ${keys.stream} and its like.`,
      ),
    ];
  }
}

function signed({ app }: Config, secretKey: string, nowMs: number): string {
  return signUserSig({
    sdkAppId: app.sdkAppId,
    identifier: app.adminId,
    secretKey,
    nowSeconds: Math.floor(nowMs / 1_000),
    expireSeconds: SIGNATURE_SECONDS,
  });
}
