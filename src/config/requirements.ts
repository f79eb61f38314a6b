import { type Config, refuseOn } from './config.ts';
import { redisUrlParts } from './formats.ts';

/** The API's own time-out for a call. A caller that waits no longer than this may miss the outcome. */
const apiTimeoutMs = 3000;
/** A shorter token could be guessed by trying. */
const minTokenLength = 16;

/** What must not be, and the sentence that says what to do. */
type Rule = readonly [isBroken: boolean, sentence: string];

/** Checks what a verb needs that uses only Redis. Throws ConfigError with all that is missing or wrong. */
export function requireForRedis(config: Config): void {
  refuseOn(broken(redisRules(config)));
}

/** Checks what the relay needs. Throws as `requireForRedis` does. */
export function requireForRelay(config: Config): void {
  refuseOn(broken([...redisRules(config), ...relayRules(config)]));
}

function relayRules({ database, api }: Config): Rule[] {
  return [
    [
      database.url === '' && database.urlFile === '',
      'IMSYNC_DATABASE_URL is not given; the relay needs the address of the database there, or in IMSYNC_DATABASE_URL_FILE.',
    ],
    [
      api.form === 'hosted',
      'IMSYNC_API is hosted, which needs a password with each event; an outbox must not hold passwords, so the relay has no hosted mode. Use the producer.',
    ],
  ];
}

/** Checks what a verb needs that calls the API. Throws as `requireForRedis` does. */
export function requireForWorker(config: Config): void {
  refuseOn([
    ...broken([
      ...redisRules(config),
      ...credentialRules(config),
      ...paceRules(config),
      ...(config.relay.inWorker ? relayRules(config) : []),
    ]),
    ...intakeProblems(config),
    ...consoleProblems(config),
  ]);
}

function broken(rules: readonly Rule[]): string[] {
  return rules.filter(([isBroken]) => isBroken).map(([, sentence]) => sentence);
}

const TLS_FILES = [
  ['caFile', 'IMSYNC_REDIS_CA_FILE'],
  ['certFile', 'IMSYNC_REDIS_CERT_FILE'],
  ['serverName', 'IMSYNC_REDIS_SERVER_NAME'],
] as const;

function redisRules({ app, redis }: Config): Rule[] {
  const url = redisUrlParts(redis.url);
  const isSentinel = redis.mode === 'sentinel';
  const byNodes = redis.nodes.length > 0;
  const passwordBy = redis.password === '' ? 'IMSYNC_REDIS_PASSWORD_FILE' : 'IMSYNC_REDIS_PASSWORD';
  return [
    [app.sdkAppId === 0, "IMSYNC_SDK_APP_ID is not given; set it to the app's SDKAppID."],
    [isSentinel && !byNodes, 'IMSYNC_REDIS_NODES is not given; sentinel mode needs the sentinels there.'],
    [
      isSentinel && redis.sentinelName === '',
      'IMSYNC_REDIS_SENTINEL_NAME is not given; sentinel mode needs the name of the primary there.',
    ],
    [
      !isSentinel && redis.sentinelName !== '',
      `IMSYNC_REDIS_SENTINEL_NAME is given, but IMSYNC_REDIS_MODE is ${redis.mode}; set it to sentinel or leave the name out.`,
    ],
    [
      redis.mode === 'standalone' && byNodes,
      'IMSYNC_REDIS_NODES is given, but IMSYNC_REDIS_MODE is standalone; set it to cluster or sentinel, or leave the nodes out.',
    ],
    [
      redis.mode === 'cluster' && url.database !== 0,
      `IMSYNC_REDIS_URL names database ${url.database}, but a cluster has only database 0; leave it out.`,
    ],
    [
      url.isSocket && redis.mode !== 'standalone',
      `IMSYNC_REDIS_URL is a socket, but IMSYNC_REDIS_MODE is ${redis.mode}; a socket leads to one server.`,
    ],
    ...TLS_FILES.map(
      ([setting, variable]): Rule => [
        redis[setting] !== '' && !byNodes && !url.tls,
        `${variable} is given, but IMSYNC_REDIS_URL is without TLS; write rediss://.`,
      ],
    ),
    [
      (redis.certFile === '') !== (redis.keyFile === ''),
      'IMSYNC_REDIS_CERT_FILE and IMSYNC_REDIS_KEY_FILE belong together; give both or none.',
    ],
    [
      !isSentinel &&
        (redis.sentinelTls ||
          redis.sentinelUsername + redis.sentinelPassword + redis.sentinelPasswordFile !== ''),
      `Settings of sentinels are given (IMSYNC_REDIS_SENTINEL_…), but IMSYNC_REDIS_MODE is ${redis.mode}; set it to sentinel or leave them out.`,
    ],
    [
      url.hasUser && redis.username !== '',
      'The user of Redis is given twice, in IMSYNC_REDIS_URL and in IMSYNC_REDIS_USERNAME; leave it out of the address.',
    ],
    [
      url.hasPassword && (redis.password !== '' || redis.passwordFile !== ''),
      `The password of Redis is given twice, in IMSYNC_REDIS_URL and in ${passwordBy}; leave it out of the address.`,
    ],
  ];
}

function credentialRules({ credentials }: Config): Rule[] {
  const hasKey = credentials.secretKey !== '' || credentials.secretKeyFile !== '';
  const hasSig = credentials.userSig !== '' || credentials.userSigFile !== '';
  return [
    [
      hasKey && hasSig,
      'Both a secret key and a UserSig are given; keep IMSYNC_SDK_SECRET_KEY or IMSYNC_USER_SIG (or its _FILE).',
    ],
    [
      !hasKey && !hasSig,
      'No credentials are given; set IMSYNC_SDK_SECRET_KEY or IMSYNC_USER_SIG, or IMSYNC_SDK_SECRET_KEY_FILE or IMSYNC_USER_SIG_FILE.',
    ],
  ];
}

function paceRules({ api, batch, quota, retry }: Config): Rule[] {
  return [
    [
      api.callTimeoutMs <= apiTimeoutMs,
      `IMSYNC_CALL_TIMEOUT_MS is ${api.callTimeoutMs}; it must be more than ${apiTimeoutMs}, the API's own time-out.`,
    ],
    [quota.share === 0, 'IMSYNC_QUOTA_SHARE is 0, so that no call could start; it must be more than 0.'],
    [
      quota.margin > 0.5,
      `IMSYNC_QUOTA_MARGIN is ${quota.margin}; it must be 0.5 at most (to use less of the quota, lower IMSYNC_QUOTA_SHARE).`,
    ],
    [
      retry.baseMs > retry.maxMs,
      `IMSYNC_RETRY_BASE_MS is ${retry.baseMs}; it must not be more than IMSYNC_RETRY_MAX_MS, ${retry.maxMs}.`,
    ],
    [
      batch.maxWaitMs >= retry.maxAgeMs,
      `IMSYNC_BATCH_MAX_WAIT_MS is ${batch.maxWaitMs}; it must be less than IMSYNC_RETRY_MAX_AGE_MS, ${retry.maxAgeMs}, or events expire before their first call.`,
    ],
  ];
}

function intakeProblems({ intake }: Config): string[] {
  if (intake.port === null) return [];
  if (intake.tokens.length > 0) return shortTokenProblems('IMSYNC_INTAKE_TOKENS', intake.tokens);
  if (intake.tokensFile !== '') return [];
  return [
    'IMSYNC_INTAKE_PORT is given, but no token: the HTTP intake never listens without one; set IMSYNC_INTAKE_TOKENS or IMSYNC_INTAKE_TOKENS_FILE.',
  ];
}

/** What the console needs in a worker. Tokens in files are checked when they are read. */
function consoleProblems({ console }: Config): string[] {
  if (console.port === null) return [];
  const hasTokens = [console.tokens.length, console.viewTokens.length].some((count) => count > 0);
  const hasFiles = console.tokensFile !== '' || console.viewTokensFile !== '';
  return [
    ...(hasTokens || hasFiles || console.ssoHeader !== ''
      ? []
      : [
          'IMSYNC_CONSOLE_PORT is given, but no token: the console never listens without one; set IMSYNC_CONSOLE_TOKENS or IMSYNC_CONSOLE_VIEW_TOKENS (or its _FILE).',
        ]),
    ...signOnProblems(console),
    ...consoleTokenProblems(console.tokens, console.viewTokens),
  ];
}

/** The header of a single sign-on counts from listed proxies only, so it needs some. */
function signOnProblems({ ssoHeader, trustedProxies }: Config['console']): string[] {
  if (ssoHeader === '') return [];
  const problems: string[] = [];
  if (trustedProxies.length === 0)
    problems.push(
      'IMSYNC_CONSOLE_SSO_HEADER is given, but no proxy that may set it; set IMSYNC_CONSOLE_TRUSTED_PROXIES to its addresses.',
    );
  if (trustedProxies.some((network) => network.endsWith('/0')))
    problems.push(
      'IMSYNC_CONSOLE_TRUSTED_PROXIES holds every address, so that anybody could sign on as anybody; list those of the proxy alone.',
    );
  if (ofClients.has(ssoHeader.toLowerCase()))
    problems.push(
      `IMSYNC_CONSOLE_SSO_HEADER is ${ssoHeader}, which clients send themselves; have the proxy set one of its own, such as X-Forwarded-User.`,
    );
  return problems;
}

/** Headers that clients send. Where one comes twice, Node takes the first of some, which is the client's. */
const ofClients = new Set(['authorization', 'cookie', 'from', 'host', 'origin', 'referer', 'user-agent']);

/** Problems of the console's tokens, wherever they come from. The sentences never quote a token. */
export function consoleTokenProblems(acting: readonly string[], viewing: readonly string[]): string[] {
  const secrets = (tokens: readonly string[]): string[] => tokens.map((token) => tokenParts(token).secret);
  const own = new Set(secrets(acting));
  const isTwice = secrets(viewing).some((token) => own.has(token));
  return [
    ...shortTokenProblems('IMSYNC_CONSOLE_TOKENS', secrets(acting)),
    ...shortTokenProblems('IMSYNC_CONSOLE_VIEW_TOKENS', secrets(viewing)),
    ...(isTwice
      ? [
          'A token stands in IMSYNC_CONSOLE_TOKENS and in IMSYNC_CONSOLE_VIEW_TOKENS; leave it in one of them.',
        ]
      : []),
  ];
}

/** A token of the console: `TOKEN` or `NAME:TOKEN`. */
export function tokenParts(token: string): { readonly name: string; readonly secret: string } {
  const [, name = '', secret = token] = /^([\w.@-]{1,40}):(.+)$/.exec(token) ?? [];
  return { name, secret };
}

/** Problems of tokens that stand in `where`. The sentences never quote a token. */
export function shortTokenProblems(where: string, tokens: readonly string[]): string[] {
  return tokens.some((token) => token.length < minTokenLength)
    ? [
        `${where} holds a token of fewer than ${minTokenLength} characters; make one with: openssl rand -hex 32.`,
      ]
    : [];
}
