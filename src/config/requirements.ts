import { type Config, refuseOn } from './config.ts';
import { redisUrlParts } from './formats.ts';

/** The API's own time-out for a call. A caller that waits no longer than this may miss the outcome. */
const apiTimeoutMs = 3000;

/**
 * Checks what a verb needs that uses only Redis. Throws ConfigError with all that is missing or
 * contradictory.
 */
export function requireForRedis(config: Config): void {
  refuseOn(redisProblems(config));
}

/**
 * Checks what a verb needs that calls the API. Throws ConfigError with all that is missing or contradictory.
 */
export function requireForWorker(config: Config): void {
  refuseOn([
    ...redisProblems(config),
    ...credentialProblems(config),
    ...paceProblems(config),
    ...intakeProblems(config),
  ]);
}

function redisProblems({ app, redis }: Config): string[] {
  const problems: string[] = [];
  const url = redisUrlParts(redis.url);
  const byNodes = redis.nodes.length > 0;
  if (app.sdkAppId === 0) problems.push("IMSYNC_SDK_APP_ID is not given; set it to the app's SDKAppID.");
  if (redis.mode === 'sentinel') {
    if (!byNodes) problems.push('IMSYNC_REDIS_NODES is not given; sentinel mode needs the sentinels there.');
    if (redis.sentinelName === '')
      problems.push(
        'IMSYNC_REDIS_SENTINEL_NAME is not given; sentinel mode needs the name of the primary there.',
      );
  } else if (redis.sentinelName !== '') {
    problems.push(
      `IMSYNC_REDIS_SENTINEL_NAME is given, but IMSYNC_REDIS_MODE is ${redis.mode}; set it to sentinel or leave the name out.`,
    );
  }
  if (redis.mode === 'standalone' && byNodes)
    problems.push(
      'IMSYNC_REDIS_NODES is given, but IMSYNC_REDIS_MODE is standalone; set it to cluster or sentinel, or leave the nodes out.',
    );
  if (redis.mode === 'cluster' && url.database !== 0)
    problems.push(
      `IMSYNC_REDIS_URL names database ${url.database}, but a cluster has only database 0; leave it out.`,
    );
  if (redis.caFile !== '' && !byNodes && !url.tls)
    problems.push('IMSYNC_REDIS_CA_FILE is given, but IMSYNC_REDIS_URL is without TLS; write rediss://.');
  if (url.hasPassword && (redis.password !== '' || redis.passwordFile !== ''))
    problems.push(
      `The password of Redis is given twice, in IMSYNC_REDIS_URL and in ${redis.password === '' ? 'IMSYNC_REDIS_PASSWORD_FILE' : 'IMSYNC_REDIS_PASSWORD'}; leave it out of the address.`,
    );
  return problems;
}

function credentialProblems({ credentials }: Config): string[] {
  const key = credentials.secretKey !== '' || credentials.secretKeyFile !== '';
  const sig = credentials.userSig !== '' || credentials.userSigFile !== '';
  if (key && sig)
    return [
      'Both a secret key and a UserSig are given; keep IMSYNC_SDK_SECRET_KEY or IMSYNC_USER_SIG (or its _FILE).',
    ];
  if (key || sig) return [];
  return [
    'No credentials are given; set IMSYNC_SDK_SECRET_KEY or IMSYNC_USER_SIG, or IMSYNC_SDK_SECRET_KEY_FILE or IMSYNC_USER_SIG_FILE.',
  ];
}

function paceProblems({ api, batch, quota, retry }: Config): string[] {
  const problems: string[] = [];
  if (api.callTimeoutMs <= apiTimeoutMs)
    problems.push(
      `IMSYNC_CALL_TIMEOUT_MS is ${api.callTimeoutMs}; it must be more than ${apiTimeoutMs}, the API's own time-out.`,
    );
  if (quota.share === 0)
    problems.push('IMSYNC_QUOTA_SHARE is 0, so that no call could start; it must be more than 0.');
  if (quota.margin > 0.5)
    problems.push(
      `IMSYNC_QUOTA_MARGIN is ${quota.margin}; it must be 0.5 at most (to use less of the quota, lower IMSYNC_QUOTA_SHARE).`,
    );
  if (retry.baseMs > retry.maxMs)
    problems.push(
      `IMSYNC_RETRY_BASE_MS is ${retry.baseMs}; it must not be more than IMSYNC_RETRY_MAX_MS, ${retry.maxMs}.`,
    );
  if (batch.maxWaitMs >= retry.maxAgeMs)
    problems.push(
      `IMSYNC_BATCH_MAX_WAIT_MS is ${batch.maxWaitMs}; it must be less than IMSYNC_RETRY_MAX_AGE_MS, ${retry.maxAgeMs}, or events expire before their first call.`,
    );
  return problems;
}

function intakeProblems({ intake }: Config): string[] {
  if (intake.port === null) return [];
  if (intake.tokens.length === 0 && intake.tokensFile === '')
    return [
      'IMSYNC_INTAKE_PORT is given, but no token: the HTTP intake never listens without one; set IMSYNC_INTAKE_TOKENS or IMSYNC_INTAKE_TOKENS_FILE.',
    ];
  return shortTokenProblems('IMSYNC_INTAKE_TOKENS', intake.tokens);
}

/** A shorter token could be guessed by trying. */
const minTokenLength = 16;

/** Problems of the HTTP intake's tokens, which stand in `where`. The sentences never quote a token. Pure. */
export function shortTokenProblems(where: string, tokens: readonly string[]): string[] {
  return tokens.some((token) => token.length < minTokenLength)
    ? [
        `${where} holds a token of fewer than ${minTokenLength} characters; make one with: openssl rand -hex 32.`,
      ]
    : [];
}
