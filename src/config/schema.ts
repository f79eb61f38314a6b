import { secretKeyFault, userSigFault } from './credential-shape.ts';
import { databaseUrl } from './database-url.ts';
import {
  bool,
  type Format,
  filePath,
  host,
  hostList,
  hostPortList,
  httpUrl,
  matching,
  nameList,
  networkList,
  nodeMap,
  noProxyList,
  notMistaken,
  oneOf,
  orAbsent,
  proxyUrl,
  redisUrl,
  secretList,
  share,
  textList,
  wholeNumber,
  wordByKey,
} from './formats.ts';

interface Texts {
  readonly doc: string;
  /** Describes the default in tables, where its value alone does not. */
  readonly defaultText?: string;
}

/** A leaf of the schema: convict's members (default, doc, env) and the strict reader. */
export interface Setting<T> extends Texts {
  readonly default: T;
  /** The environment variable; `''` if only a file can set it. */
  readonly env: string;
  readonly reader: Format<T>;
}

function setting<T>(
  env: string,
  reader: Format<T>,
  fallback: NoInfer<T>,
  { doc, defaultText }: Texts,
): Setting<T> {
  return { default: fallback, doc, env, reader, defaultText };
}

const minuteMs = 60_000;
const dayMs = 86_400_000;

const port = wholeNumber(0, 65_535);
const credential = matching('printable ASCII characters without blanks', /^[!-~]+$/, 'value');
const secretKey = orAbsent(notMistaken(credential, secretKeyFault), '');
const userSig = orAbsent(notMistaken(credential, userSigFault), '');
const password = orAbsent(matching('a text of one line', /^[^\0\r\n]+$/, 'value'), '');
const secretFile = filePath('path');
const quota = orAbsent(wholeNumber(1, 100_000), null);

function quotaOf(command: string): Setting<number | null> {
  return setting(`IMSYNC_QUOTA_${command.toUpperCase()}_PER_SECOND`, quota, null, {
    doc: `Calls of ${command} a second, over all processes. Processes that disagree follow the lowest.`,
    defaultText: 'the documented one of the API form',
  });
}

/**
 * The convict schema: each setting with its variable, format, default and meaning. Names carry units (`…Ms`).
 * An optional text that was not given is `''`; an optional number is `null`.
 */
export const schema = {
  redis: {
    url: setting('IMSYNC_REDIS_URL', redisUrl, 'redis://127.0.0.1:6379', {
      doc: 'Where Redis is: redis://, rediss:// for TLS, or unix:///path of a socket. A number at its end (/3; of a socket ?db=3) is the database: that one or none; a cluster has only 0.',
    }),
    mode: setting('IMSYNC_REDIS_MODE', oneOf(['standalone', 'cluster', 'sentinel']), 'standalone', {
      doc: 'How Redis is run.',
    }),
    nodes: setting('IMSYNC_REDIS_NODES', hostPortList, [], {
      doc: 'Nodes of the cluster to start from, or the sentinels.',
    }),
    sentinelName: setting(
      'IMSYNC_REDIS_SENTINEL_NAME',
      orAbsent(matching('a name of printable ASCII characters without blanks', /^[!-~]+$/), ''),
      '',
      { doc: 'The name the sentinels know the primary by.' },
    ),
    nodeMap: setting(
      'IMSYNC_REDIS_NODE_MAP',
      nodeMap,
      {},
      {
        doc: 'Where nodes behind NAT are reached: `announced=reached`, each host:port, separated by commas.',
      },
    ),
    username: setting('IMSYNC_REDIS_USERNAME', credential, '', {
      doc: "Redis's user, if it is not in the address.",
    }),
    password: setting('IMSYNC_REDIS_PASSWORD', password, '', { doc: "Redis's password." }),
    passwordFile: setting('IMSYNC_REDIS_PASSWORD_FILE', secretFile, '', {
      doc: "The file that holds Redis's password.",
    }),
    sentinelUsername: setting('IMSYNC_REDIS_SENTINEL_USERNAME', credential, '', {
      doc: "The sentinels' user; that of Redis does not count for them.",
    }),
    sentinelPassword: setting('IMSYNC_REDIS_SENTINEL_PASSWORD', password, '', {
      doc: "The sentinels' password.",
    }),
    sentinelPasswordFile: setting('IMSYNC_REDIS_SENTINEL_PASSWORD_FILE', secretFile, '', {
      doc: "The file that holds the sentinels' password.",
    }),
    sentinelTls: setting('IMSYNC_REDIS_SENTINEL_TLS', bool, false, {
      doc: 'Whether the sentinels speak TLS. Whether Redis does, rediss:// says.',
    }),
    caFile: setting('IMSYNC_REDIS_CA_FILE', filePath(), '', {
      doc: "The CA certificate (PEM) that signed Redis's.",
    }),
    certFile: setting('IMSYNC_REDIS_CERT_FILE', filePath(), '', {
      doc: 'The client certificate (PEM) for a Redis that wants one.',
    }),
    keyFile: setting('IMSYNC_REDIS_KEY_FILE', filePath(), '', {
      doc: 'The key (PEM) of the client certificate.',
    }),
    serverName: setting('IMSYNC_REDIS_SERVER_NAME', orAbsent(host, ''), '', {
      doc: "The name that Redis's certificate must be for, and that TLS asks for (SNI).",
      defaultText: 'the host of each connection',
    }),
    allowVolatile: setting('IMSYNC_REDIS_ALLOW_VOLATILE', bool, false, {
      doc: 'Accept a Redis that may lose events: AOF off, or an eviction policy. For trying things out.',
    }),
  },
  app: {
    sdkAppId: setting('IMSYNC_SDK_APP_ID', orAbsent(wholeNumber(1, Number.MAX_SAFE_INTEGER), 0), 0, {
      doc: "The app's SDKAppID.",
      defaultText: 'must be given',
    }),
    adminId: setting(
      'IMSYNC_ADMIN_ID',
      matching('1 to 32 printable ASCII characters without blanks', /^[!-~]{1,32}$/),
      'administrator',
      { doc: "The app's admin, whose UserSig signs the calls." },
    ),
  },
  credentials: {
    secretKey: setting('IMSYNC_SDK_SECRET_KEY', secretKey, '', {
      doc: "The app's key, which signs UserSigs. Either this or a UserSig.",
    }),
    secretKeyFile: setting('IMSYNC_SDK_SECRET_KEY_FILE', secretFile, '', {
      doc: "The file that holds the app's key.",
    }),
    userSig: setting('IMSYNC_USER_SIG', userSig, '', { doc: "The admin's UserSig, made elsewhere." }),
    userSigFile: setting('IMSYNC_USER_SIG_FILE', secretFile, '', {
      doc: 'The file that holds the UserSig; read again before each probe.',
    }),
  },
  api: {
    form: setting('IMSYNC_API', oneOf(['current', 'legacy', 'hosted']), 'current', {
      doc: 'The form of the calls: `current` (AccountList, UserID), `legacy` (Accounts, Identifier; the only one that makes robots) or `hosted` (register_account_v1).',
    }),
    region: setting(
      'IMSYNC_REGION',
      oneOf(['china', 'singapore', 'seoul', 'tokyo', 'frankfurt', 'silicon-valley', 'jakarta', 'mumbai']),
      'china',
      { doc: "The app's home, which names the API's host." },
    ),
    baseUrl: setting('IMSYNC_BASE_URL', orAbsent(httpUrl, ''), '', {
      doc: 'Where the API is, instead of the host of the region.',
      defaultText: 'by region',
    }),
    callTimeoutMs: setting('IMSYNC_CALL_TIMEOUT_MS', wholeNumber(1, 600_000), 8000, {
      doc: "How long a call may take, in ms; the API's own time-out is 3 s, so it must be longer.",
    }),
    caFile: setting('IMSYNC_CA_FILE', filePath(), '', {
      doc: "CA certificates (PEM) that may have signed the API's or the proxy's, besides the public ones: for networks that open TLS and sign it themselves.",
    }),
  },
  proxy: {
    url: setting('IMSYNC_PROXY_URL', orAbsent(proxyUrl, ''), '', {
      doc: 'The proxy that all calls of the API go through: http://, https:// or socks5://, with user and password if it wants them.',
      defaultText: 'as HTTPS_PROXY and HTTP_PROXY say',
    }),
    urlFile: setting('IMSYNC_PROXY_URL_FILE', secretFile, '', {
      doc: 'The file that holds the address of the proxy; read again for each new connection.',
    }),
    https: setting('HTTPS_PROXY', orAbsent(proxyUrl, ''), '', {
      doc: 'The proxy for an API at https://, unless IMSYNC_PROXY_URL is given. `https_proxy` counts first.',
    }),
    http: setting('HTTP_PROXY', orAbsent(proxyUrl, ''), '', {
      doc: 'The same for an API at http://. `http_proxy` counts first.',
    }),
    none: setting('NO_PROXY', noProxyList, [], {
      doc: 'Hosts that are called without HTTPS_PROXY and HTTP_PROXY: names with all below them, addresses, networks (10.0.0.0/8), or `*`. Loopback always is.',
    }),
  },
  batch: {
    maxSize: setting('IMSYNC_BATCH_MAX_SIZE', wholeNumber(1, 100), 100, { doc: 'Users in a call at most.' }),
    maxWaitMs: setting('IMSYNC_BATCH_MAX_WAIT_MS', wholeNumber(0, minuteMs), 200, {
      doc: 'How long an event waits at most for others to share its call, in ms from the first event.',
    }),
    eagerShare: setting('IMSYNC_BATCH_EAGER_SHARE', share, 0.2, {
      doc: 'While less than this share of the quota is in use, events do not wait for others.',
    }),
  },
  quota: {
    perSecond: {
      multiaccount_import: quotaOf('multiaccount_import'),
      account_import: quotaOf('account_import'),
      account_check: quotaOf('account_check'),
      account_delete: quotaOf('account_delete'),
      register_account_v1: quotaOf('register_account_v1'),
    },
    share: setting('IMSYNC_QUOTA_SHARE', share, 1, {
      doc: "The share of each quota to use, more than 0; 0.79 stays below the provider's 80 % alert.",
    }),
    margin: setting('IMSYNC_QUOTA_MARGIN', share, 0.01, {
      doc: 'The part of the quota left unused so that jitter never breaks it, 0.5 at most.',
    }),
  },
  retry: {
    baseMs: setting('IMSYNC_RETRY_BASE_MS', wholeNumber(1, 60 * minuteMs), 1000, {
      doc: 'The first delay of a retry, in ms; it doubles from there.',
    }),
    maxMs: setting('IMSYNC_RETRY_MAX_MS', wholeNumber(1, dayMs), minuteMs, {
      doc: 'The longest delay of a retry, in ms.',
    }),
    maxAgeMs: setting('IMSYNC_RETRY_MAX_AGE_MS', wholeNumber(1, 90 * dayMs), dayMs, {
      doc: 'How long an event is tried, in ms, before it becomes a dead letter; held time does not count.',
    }),
  },
  shutdownTimeoutMs: setting('IMSYNC_SHUTDOWN_TIMEOUT_MS', wholeNumber(0, 60 * minuteMs), 15_000, {
    doc: 'How long a stopping worker waits for calls on the wire, in ms.',
  }),
  onProfileFault: setting('IMSYNC_ON_PROFILE_FAULT', oneOf(['import-bare', 'dead-letter']), 'import-bare', {
    doc: 'A refused nick or picture: import the user without it, or only write a dead letter.',
  }),
  allowOddIds: setting('IMSYNC_ALLOW_ODD_IDS', textList('user IDs or kinds of them'), [], {
    doc: 'User IDs that are meant although programs leave such values behind: exact IDs (`None`), kinds (`word`, `template`, `separators`, `apostrophe`, `serialized`, `rounded`) or `all`, separated by commas. All others become dead letters `invalid`; docs/produce.md lists them.',
    defaultText: 'none',
  }),
  ops: {
    host: setting('IMSYNC_OPS_HOST', host, '127.0.0.1', {
      doc: 'Where the ops server listens (the image: 0.0.0.0).',
    }),
    port: setting('IMSYNC_OPS_PORT', port, 9464, {
      doc: "The ops server's port; 0 is any free one, named in the log.",
    }),
  },
  intake: {
    host: setting('IMSYNC_INTAKE_HOST', host, '127.0.0.1', { doc: 'Where the HTTP intake listens.' }),
    port: setting('IMSYNC_INTAKE_PORT', orAbsent(port, null), null, {
      doc: "The HTTP intake's port; 0 is any free one, named in the log.",
      defaultText: 'no HTTP intake',
    }),
    tokens: setting('IMSYNC_INTAKE_TOKENS', secretList('tokens'), [], {
      doc: 'Bearer tokens the HTTP intake accepts.',
    }),
    tokensFile: setting('IMSYNC_INTAKE_TOKENS_FILE', secretFile, '', {
      doc: 'The file that holds the tokens, one a line.',
    }),
  },
  console: {
    host: setting('IMSYNC_CONSOLE_HOST', host, '127.0.0.1', { doc: 'Where the console listens.' }),
    port: setting('IMSYNC_CONSOLE_PORT', orAbsent(port, null), null, {
      doc: "The console's port; 0 is any free one, named in the log.",
      defaultText: 'no console',
    }),
    tokens: setting('IMSYNC_CONSOLE_TOKENS', secretList('tokens'), [], {
      doc: 'Tokens of those who may look and act: `TOKEN`, or `NAME:TOKEN` with the name for the history.',
    }),
    tokensFile: setting('IMSYNC_CONSOLE_TOKENS_FILE', secretFile, '', {
      doc: 'The file that holds them, one a line; read again while the worker runs.',
    }),
    viewTokens: setting('IMSYNC_CONSOLE_VIEW_TOKENS', secretList('tokens'), [], {
      doc: 'Tokens of those who may only look; user IDs and profiles are masked for them.',
    }),
    viewTokensFile: setting('IMSYNC_CONSOLE_VIEW_TOKENS_FILE', secretFile, '', {
      doc: 'The file that holds them, one a line; read again while the worker runs.',
    }),
    showUsers: setting('IMSYNC_CONSOLE_SHOW_USERS', bool, false, {
      doc: 'Whether those who may only look see user IDs and profiles.',
    }),
    sessionMs: setting('IMSYNC_CONSOLE_SESSION_MS', wholeNumber(minuteMs, 30 * dayMs), dayMs / 2, {
      doc: 'How long a session of the console lasts, in ms.',
    }),
    basePath: setting(
      'IMSYNC_CONSOLE_BASE_PATH',
      orAbsent(
        matching('a path such as /imsync, without a slash at its end', /^(?:\/[\w.~-]{1,50}){1,5}$/),
        '',
      ),
      '',
      { doc: 'The path below which a reverse proxy shows the console.' },
    ),
    allowedHosts: setting('IMSYNC_CONSOLE_ALLOWED_HOSTS', hostList, [], {
      doc: 'Names under which browsers may reach the console, besides `localhost` and IP addresses.',
    }),
    trustedProxies: setting('IMSYNC_CONSOLE_TRUSTED_PROXIES', networkList, [], {
      doc: 'Addresses of reverse proxies whose `X-Forwarded-…` and sign-on headers count.',
    }),
    ssoHeader: setting(
      'IMSYNC_CONSOLE_SSO_HEADER',
      orAbsent(matching('the name of a header', /^[a-zA-Z][a-zA-Z0-9-]{0,60}$/), ''),
      '',
      {
        doc: 'The header in which a trusted proxy names the person who signed on, such as `X-Forwarded-User`.',
      },
    ),
    ssoOperators: setting('IMSYNC_CONSOLE_SSO_OPERATORS', nameList, [], {
      doc: 'Who may act, of those that the header names; all others may look.',
    }),
  },
  notify: {
    urls: setting('IMSYNC_NOTIFY_URLS', secretList('addresses of receivers'), [], {
      doc: 'Where notices go: `KIND+https://…` with KIND `slack`, `dingtalk`, `feishu`, `wecom` or `json`, separated by commas or blanks; see docs/notices.md.',
    }),
    urlsFile: setting('IMSYNC_NOTIFY_URLS_FILE', secretFile, '', {
      doc: 'The file that holds the addresses, one a line; read again before each message.',
    }),
    oldestAfterMs: setting('IMSYNC_NOTIFY_OLDEST_AFTER_MS', wholeNumber(1_000, 90 * dayMs), 10 * minuteMs, {
      doc: 'A notice is sent when an event has not ended for so long, in ms, while calls are made.',
    }),
  },
  database: {
    url: setting('IMSYNC_DATABASE_URL', databaseUrl, '', {
      doc: "The app's database, for the relay, `reconcile` and queries: `postgres://` or `mysql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full`.",
      defaultText: 'no database',
    }),
    urlFile: setting('IMSYNC_DATABASE_URL_FILE', secretFile, '', {
      doc: 'The file that holds the address; read again for each session.',
    }),
    caFile: setting('IMSYNC_DATABASE_CA_FILE', filePath(), '', {
      doc: "The CA certificate (PEM) that signed the database's. Given without an sslmode, it means verify-full.",
    }),
    certFile: setting('IMSYNC_DATABASE_CERT_FILE', filePath(), '', {
      doc: 'The client certificate (PEM) for a database that wants one.',
    }),
    keyFile: setting('IMSYNC_DATABASE_KEY_FILE', filePath(), '', {
      doc: 'The key (PEM) of the client certificate.',
    }),
  },
  relay: {
    inWorker: setting('IMSYNC_RELAY_IN_WORKER', bool, false, {
      doc: 'Run the relay in each worker, too. One of all relays works at a time, the others stand by.',
    }),
    table: setting(
      'IMSYNC_RELAY_TABLE',
      matching(
        'the name of a table, with its schema if need be',
        /^[A-Za-z_][\w$]{0,50}(?:\.[A-Za-z_][\w$]{0,50})?$/,
      ),
      'imsync_outbox',
      { doc: 'The table that the app writes rows into. Beside it stands one whose name ends in `_archive`.' },
    ),
    keepMs: setting('IMSYNC_RELAY_KEEP_MS', wholeNumber(0, 90 * dayMs), 0, {
      doc: 'How long relayed rows are kept in the archive, in ms; 0 deletes them.',
    }),
    maxWaiting: setting('IMSYNC_RELAY_MAX_WAITING', wholeNumber(1, 100_000_000), 100_000, {
      doc: 'While so many events wait in the intake, rows wait in the database.',
    }),
  },
  outcomes: setting('IMSYNC_OUTCOMES', oneOf(['reply-to', 'all']), 'reply-to', {
    doc: 'Whose outcome is published: of events with `replyTo`, on their channel; or of all, on a capped stream too.',
  }),
  log: {
    level: setting(
      'IMSYNC_LOG_LEVEL',
      oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
      'info',
      { doc: 'The least level that is logged.' },
    ),
  },
  traces: {
    showUsers: setting('IMSYNC_TRACES_SHOW_USERS', bool, false, {
      doc: 'Whether traces name the users of a call. Traces are on when `OTEL_` variables ask for them.',
    }),
  },
  verdicts: setting(
    '',
    wordByKey('an object of error codes', /^[1-9]\d{0,9}$/, ['retry', 'account', 'body', 'app', 'throttle']),
    {},
    { doc: 'What error codes of the API mean, where it differs from the built-in tables.' },
  ),
};

/** A setting with its path, such as `redis.url`. */
export interface PlacedSetting extends Setting<unknown> {
  readonly path: string;
}

/** All settings, in the order of the schema. */
export const settings: readonly PlacedSetting[] = leaves(schema, '');

function leaves(group: object, prefix: string): PlacedSetting[] {
  return Object.entries(group).flatMap(([key, node]) =>
    isSetting(node) ? [{ ...node, path: prefix + key }] : leaves(node, `${prefix}${key}.`),
  );
}

/** Whether a node of the schema is a setting, and not a group of settings. */
export function isSetting(node: object): node is Setting<unknown> {
  return 'reader' in node;
}

/** The value of a tree at a path such as `redis.url`, or undefined. */
export function valueAt(tree: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((node, key) => (isTree(node) ? node[key] : undefined), tree);
}

export function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
