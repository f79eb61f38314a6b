import { type Config, ConfigError, type ReadFile } from '../config/config.ts';
import { redisUrlParts } from '../config/formats.ts';
import { withoutPassword } from '../config/mask.ts';
import { readReceivers } from '../config/receivers.ts';
import { requireForRedis, requireForWorker } from '../config/requirements.ts';
import { readSecrets } from '../config/secrets.ts';
import { quotasOf } from '../pace/budget.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../redis/connect.ts';
import { keysOf } from '../redis/keys.ts';
import { redisAddress, redisSettings } from '../redis/settings.ts';
import { apiFindings, keyShapeFinding, probeApi, userSigFinding, wayHint } from './api-findings.ts';
import { examineDatabase } from './database-findings.ts';
import { type Finding, notChecked, ok, skipped, wrong } from './finding.ts';
import { examineFleet, planHint, quotaFindings } from './fleet-findings.ts';
import { examineNotices } from './notice-findings.ts';
import { readRedisFacts, redisAway, redisFindings } from './redis-findings.ts';
import { examineStream } from './stream-findings.ts';

const REACH_MS = 3_000;

/**
 * Checks all that a worker with these settings depends on. Changes nothing, rejects for no problem.
 * `sendTestNotice`: the receivers of notices get a message.
 */
export async function examine(
  config: Config,
  readFile: ReadFile,
  sendTestNotice: boolean,
): Promise<Finding[]> {
  const problems = [
    ...problemsOf(() => requireForWorker(config)),
    ...problemsOf(() => readSecrets(config, readFile)),
    ...problemsOf(() => readReceivers(config, readFile)),
  ];
  const redis = openedRedis(config, readFile);
  try {
    return [
      ...configurationFindings(config, problems),
      ...(await examineRedis(config, redis)),
      ...(await examineDatabase(config, readFile, redis && { redis, keys: keysOf(config.app.sdkAppId) })),
      ...(await examineApi(config, readFile, problems.length === 0, redis)),
      ...(await examineNotices(config, readFile, sendTestNotice)),
      ...quotaFindings(quotasOf(config)),
      planHint(),
    ];
  } finally {
    if (redis !== undefined) await closeRedis(redis);
  }
}

/** The findings if the settings cannot be read. Then nothing else can be checked. */
export function unreadable(problems: readonly string[]): Finding[] {
  return [
    ...problems.map(configurationProblem),
    skipped('redis', 'Redis was not checked: the settings cannot be read'),
    ...notChecked('api', 'the settings cannot be read'),
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

/** What a step says is wrong with the settings; [] if it passes. */
function problemsOf(step: () => unknown): readonly string[] {
  try {
    step();
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

function openedRedis(config: Config, readFile: ReadFile): RedisClient | undefined {
  try {
    requireForRedis(config);
    return openRedis(redisSettings(config, readFile), 'oneshot', 'doctor', () => undefined);
  } catch {
    // The configuration findings contain this error.
    return undefined;
  }
}

async function examineRedis(config: Config, redis: RedisClient | undefined): Promise<Finding[]> {
  if (redis === undefined)
    return [
      skipped('redis', 'Redis was not checked: its settings are incomplete'),
      ...notChecked('fleet', 'Redis cannot be used'),
    ];
  const address = redisAddress(config);
  const { database } = redisUrlParts(config.redis.url);
  const keys = keysOf(config.app.sdkAppId);
  try {
    await whenReady(redis, REACH_MS);
    const facts = await readRedisFacts(redis, keys);
    const found = redisFindings(facts, address, database, config.redis.allowVolatile);
    return [...found, ...(await examineStream({ redis, keys })), ...(await examineFleet(redis, keys))];
  } catch (error) {
    // A handshake that fails again and again would leave commands behind, with their timers.
    await closeRedis(redis);
    return [...redisAway(config, (error as Error).message), ...notChecked('fleet', 'Redis cannot be used')];
  }
}

async function examineApi(
  config: Config,
  readFile: ReadFile,
  isComplete: boolean,
  redis: RedisClient | undefined,
): Promise<Finding[]> {
  if (!isComplete)
    return [
      ...notChecked('api', 'the settings are incomplete'),
      skipped('user-sig', 'The UserSig was not checked: the settings are incomplete'),
      skipped('key', "The key's shape was not checked: the settings are incomplete"),
    ];
  const nowMs = Date.now();
  const { userSig, secretKey } = readSecrets(config, readFile);
  return [
    wayHint(config, readFile),
    ...apiFindings(config, await probeApi(config, readFile, redis?.status === 'ready' ? redis : undefined)),
    userSigFinding(userSig, config.app, nowMs),
    keyShapeFinding(secretKey),
  ];
}
