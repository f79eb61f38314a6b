import { readFileSync } from 'node:fs';
import { loadConfig } from '../../../src/config/load.ts';
import { settings } from '../../../src/config/schema.ts';
import { COMMANDS } from '../../../src/im/commands.ts';
import { loadFrom } from './memory-files.ts';

/** One value for every variable, none of them the default. */
const everyVariable: Record<string, string> = {
  IMSYNC_REDIS_URL: 'rediss://redis.example.org:6380',
  IMSYNC_REDIS_MODE: 'sentinel',
  IMSYNC_REDIS_NODES: 'one:26379,[::1]:26380',
  IMSYNC_REDIS_SENTINEL_NAME: 'primary',
  IMSYNC_REDIS_NODE_MAP: '10.0.0.1:6379=redis.example.org:7001, [fd00::1]:6379=[::1]:7002',
  IMSYNC_REDIS_USERNAME: 'sync',
  IMSYNC_REDIS_PASSWORD: 'pass word',
  IMSYNC_REDIS_SENTINEL_USERNAME: 'watcher',
  IMSYNC_REDIS_SENTINEL_PASSWORD: 'other word',
  IMSYNC_REDIS_SENTINEL_TLS: 'true',
  IMSYNC_REDIS_CERT_FILE: '/run/client.pem',
  IMSYNC_REDIS_KEY_FILE: '/run/client.key',
  IMSYNC_REDIS_SERVER_NAME: 'redis.internal',
  IMSYNC_REDIS_CA_FILE: '/run/ca.pem',
  IMSYNC_REDIS_ALLOW_VOLATILE: 'true',
  IMSYNC_SDK_APP_ID: '1400000000',
  IMSYNC_ADMIN_ID: 'boss',
  IMSYNC_SDK_SECRET_KEY: 'abc123',
  IMSYNC_USER_SIG_FILE: '/run/sig',
  IMSYNC_API: 'legacy',
  IMSYNC_REGION: 'silicon-valley',
  IMSYNC_BASE_URL: 'http://127.0.0.1:1234/',
  IMSYNC_CALL_TIMEOUT_MS: '9000',
  IMSYNC_CA_FILE: '/run/network.pem',
  IMSYNC_PROXY_URL: 'socks5://worker:secret@proxy',
  HTTPS_PROXY: 'proxy:3128',
  HTTP_PROXY: 'http://proxy:3128/',
  NO_PROXY: 'a.test, b.test',
  IMSYNC_BATCH_MAX_SIZE: '50',
  IMSYNC_BATCH_MAX_WAIT_MS: '100',
  IMSYNC_BATCH_EAGER_SHARE: '0.5',
  IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: '11',
  IMSYNC_QUOTA_ACCOUNT_IMPORT_PER_SECOND: '12',
  IMSYNC_QUOTA_ACCOUNT_CHECK_PER_SECOND: '13',
  IMSYNC_QUOTA_ACCOUNT_DELETE_PER_SECOND: '14',
  IMSYNC_QUOTA_REGISTER_ACCOUNT_V1_PER_SECOND: '15',
  IMSYNC_QUOTA_SHARE: '0.79',
  IMSYNC_QUOTA_MARGIN: '0.02',
  IMSYNC_RETRY_BASE_MS: '10',
  IMSYNC_RETRY_MAX_MS: '20',
  IMSYNC_RETRY_MAX_AGE_MS: '30',
  IMSYNC_SHUTDOWN_TIMEOUT_MS: '40',
  IMSYNC_ON_PROFILE_FAULT: 'dead-letter',
  IMSYNC_ALLOW_ODD_IDS: 'None, word',
  IMSYNC_OPS_HOST: '0.0.0.0',
  IMSYNC_OPS_PORT: '0',
  IMSYNC_INTAKE_HOST: '::',
  IMSYNC_INTAKE_PORT: '8080',
  IMSYNC_INTAKE_TOKENS: 'one,two',
  IMSYNC_CONSOLE_HOST: '0.0.0.0',
  IMSYNC_CONSOLE_PORT: '9470',
  IMSYNC_CONSOLE_TOKENS: 'ann:one two',
  IMSYNC_CONSOLE_VIEW_TOKENS: 'three',
  IMSYNC_CONSOLE_SHOW_USERS: 'true',
  IMSYNC_CONSOLE_SESSION_MS: '60000',
  IMSYNC_CONSOLE_BASE_PATH: '/ops/imsync',
  IMSYNC_CONSOLE_ALLOWED_HOSTS: 'console.example.com, ::1',
  IMSYNC_CONSOLE_TRUSTED_PROXIES: '10.0.0.0/8,fd00::/8, 192.0.2.1',
  IMSYNC_CONSOLE_SSO_HEADER: 'X-Forwarded-User',
  IMSYNC_CONSOLE_SSO_OPERATORS: 'Ann Lee,bob@example.com',
  IMSYNC_NOTIFY_URLS: 'https://hooks.slack.com/a b',
  IMSYNC_NOTIFY_OLDEST_AFTER_MS: '5000',
  IMSYNC_DATABASE_URL_FILE: '/run/database',
  IMSYNC_DATABASE_CA_FILE: '/run/database-ca.pem',
  IMSYNC_DATABASE_CERT_FILE: '/run/database-client.pem',
  IMSYNC_DATABASE_KEY_FILE: '/run/database-client.key',
  IMSYNC_RELAY_IN_WORKER: 'true',
  IMSYNC_RELAY_TABLE: 'chat.outbox',
  IMSYNC_RELAY_KEEP_MS: '60',
  IMSYNC_RELAY_MAX_WAITING: '70',
  IMSYNC_OUTCOMES: 'all',
  IMSYNC_LOG_LEVEL: 'silent',
  IMSYNC_TRACES_SHOW_USERS: 'true',
};

test('every variable reaches its place', () => {
  const { config } = loadFrom(everyVariable);
  expect(config).toEqual({
    redis: {
      url: 'rediss://redis.example.org:6380',
      mode: 'sentinel',
      nodes: [
        { host: 'one', port: 26379 },
        { host: '::1', port: 26380 },
      ],
      sentinelName: 'primary',
      nodeMap: {
        '10.0.0.1:6379': { host: 'redis.example.org', port: 7001 },
        'fd00::1:6379': { host: '::1', port: 7002 },
      },
      username: 'sync',
      password: 'pass word',
      passwordFile: '',
      sentinelUsername: 'watcher',
      sentinelPassword: 'other word',
      sentinelPasswordFile: '',
      sentinelTls: true,
      caFile: '/run/ca.pem',
      certFile: '/run/client.pem',
      keyFile: '/run/client.key',
      serverName: 'redis.internal',
      allowVolatile: true,
    },
    app: { sdkAppId: 1400000000, adminId: 'boss' },
    credentials: { secretKey: 'abc123', secretKeyFile: '', userSig: '', userSigFile: '/run/sig' },
    api: {
      form: 'legacy',
      region: 'silicon-valley',
      baseUrl: 'http://127.0.0.1:1234',
      callTimeoutMs: 9000,
      caFile: '/run/network.pem',
    },
    proxy: {
      url: 'socks5://worker:secret@proxy',
      urlFile: '',
      https: 'http://proxy:3128',
      http: 'http://proxy:3128',
      none: ['a.test', 'b.test'],
    },
    batch: { maxSize: 50, maxWaitMs: 100, eagerShare: 0.5 },
    quota: {
      perSecond: {
        multiaccount_import: 11,
        account_import: 12,
        account_check: 13,
        account_delete: 14,
        register_account_v1: 15,
      },
      share: 0.79,
      margin: 0.02,
    },
    retry: { baseMs: 10, maxMs: 20, maxAgeMs: 30 },
    shutdownTimeoutMs: 40,
    onProfileFault: 'dead-letter',
    allowOddIds: ['None', 'word'],
    ops: { host: '0.0.0.0', port: 0 },
    intake: { host: '::', port: 8080, tokens: ['one', 'two'], tokensFile: '' },
    console: {
      ...{ host: '0.0.0.0', port: 9470, showUsers: true, sessionMs: 60_000, basePath: '/ops/imsync' },
      ...{ tokens: ['ann:one', 'two'], tokensFile: '', viewTokens: ['three'], viewTokensFile: '' },
      allowedHosts: ['console.example.com', '::1'],
      trustedProxies: ['10.0.0.0/8', 'fd00::/8', '192.0.2.1'],
      ssoHeader: 'X-Forwarded-User',
      ssoOperators: ['Ann Lee', 'bob@example.com'],
    },
    notify: { urls: ['https://hooks.slack.com/a', 'b'], urlsFile: '', oldestAfterMs: 5_000 },
    database: {
      ...{ url: '', urlFile: '/run/database', caFile: '/run/database-ca.pem' },
      ...{ certFile: '/run/database-client.pem', keyFile: '/run/database-client.key' },
    },
    relay: { inWorker: true, table: 'chat.outbox', keepMs: 60, maxWaiting: 70 },
    outcomes: 'all',
    traces: { showUsers: true },
    log: { level: 'silent' },
    verdicts: {},
  });
  const files = [
    ...['SDK_SECRET_KEY_FILE', 'REDIS_PASSWORD_FILE', 'INTAKE_TOKENS_FILE', 'NOTIFY_URLS_FILE'],
    ...['CONSOLE_TOKENS_FILE', 'CONSOLE_VIEW_TOKENS_FILE'],
    ...['PROXY_URL_FILE', 'REDIS_SENTINEL_PASSWORD_FILE'],
  ];
  const twins = ['IMSYNC_USER_SIG', 'IMSYNC_DATABASE_URL'];
  const named = [...Object.keys(everyVariable), ...files.map((name) => `IMSYNC_${name}`), ...twins];
  expect(new Set(settings.map(({ env }) => env).filter((env) => env !== ''))).toEqual(new Set(named));
});

test('each source overrides the ones before it, and every value has its source', () => {
  const files = {
    '/config/default.json': { batch: { maxSize: 10, maxWaitMs: 11 }, retry: { baseMs: 12, maxMs: 13 } },
    '/config/staging.json': { batch: { maxWaitMs: 21 }, retry: { baseMs: 22, maxMs: 23 } },
    '/etc/imsync.json': { retry: { baseMs: 32, maxMs: 33 } },
  };
  const env = { NODE_ENV: 'staging', IMSYNC_RETRY_MAX_MS: '43' };
  const { config, origins } = loadFrom(env, files, '/etc/imsync.json');
  expect(config.batch).toEqual({ maxSize: 10, maxWaitMs: 21, eagerShare: 0.2 });
  expect(config.retry).toEqual({ baseMs: 32, maxMs: 43, maxAgeMs: 86_400_000 });
  expect(origins).toMatchObject({
    'batch.maxSize': 'file default.json',
    'batch.maxWaitMs': 'file staging.json',
    'batch.eagerShare': 'default',
    'retry.baseMs': 'file /etc/imsync.json',
    'retry.maxMs': 'environment IMSYNC_RETRY_MAX_MS',
  });
  expect(Object.keys(origins)).toEqual(settings.map(({ path }) => path));
});

test('IMSYNC_ENV wins over NODE_ENV, and the file of the environment may be missing', () => {
  const files = {
    '/config/one.json': { log: { level: 'warn' } },
    '/config/two.json': { log: { level: 'error' } },
  };
  expect(loadFrom({ NODE_ENV: 'one' }, files).config.log.level).toBe('warn');
  expect(loadFrom({ NODE_ENV: 'one', IMSYNC_ENV: 'two' }, files).config.log.level).toBe('error');
  expect(loadFrom({ NODE_ENV: 'one', IMSYNC_ENV: '' }, files).config.log.level).toBe('warn');
  expect(loadFrom({ NODE_ENV: 'three' }, files).config.log.level).toBe('info');
});

test('an empty variable counts as not given', () => {
  const { config, origins } = loadFrom({ IMSYNC_BATCH_MAX_SIZE: '', IMSYNC_INTAKE_PORT: '' });
  expect([config.batch.maxSize, config.intake.port]).toEqual([100, null]);
  expect(origins['batch.maxSize']).toBe('default');
});

test('verdict overrides of several files are merged', () => {
  const files = {
    '/config/default.json': { verdicts: { 1: 'retry', 2: 'body' } },
    '/more.json': { verdicts: { 2: 'app', 3: 'account' } },
  };
  expect(loadFrom({}, files, '/more.json').config.verdicts).toEqual({ 1: 'retry', 2: 'app', 3: 'account' });
});

test('a file may hold everything that a variable can say', () => {
  const file = {
    redis: { nodes: ['a:1', { host: 'b', port: 2 }], password: 'p' },
    quota: { perSecond: { account_import: 7, account_check: null } },
    intake: { port: null, tokens: ['t'] },
  };
  const { config } = loadFrom({}, { '/f.json': `\uFEFF${JSON.stringify(file)}` }, '/f.json');
  expect(config.redis.nodes).toEqual([
    { host: 'a', port: 1 },
    { host: 'b', port: 2 },
  ]);
  expect(config.quota.perSecond).toEqual({
    multiaccount_import: null,
    account_import: 7,
    account_check: null,
    account_delete: null,
    register_account_v1: null,
  });
  expect(config.intake).toEqual({ host: '127.0.0.1', port: null, tokens: ['t'], tokensFile: '' });
});

test('a load does not influence the next one', () => {
  loadFrom(everyVariable);
  expect(loadFrom({}).config).toEqual(loadFrom({}).config);
  expect(loadFrom({}).config.redis.nodes).toEqual([]);
});

test("the package's default.json is found and equals the schema's defaults", () => {
  const packaged = loadConfig({ env: {}, readFile: (path) => readFileSync(path, 'utf8') });
  expect(packaged.config).toEqual(loadFrom({}).config);
  expect(packaged.origins['batch.maxSize']).toBe('file default.json');
});

test.each(['development', 'production', 'test'])('the packaged files are valid for %s', (environment) => {
  const readFile = (path: string): string => readFileSync(path, 'utf8');
  expect(loadConfig({ env: { NODE_ENV: environment }, readFile }).config.ops.port).toBe(9464);
});

test('every command with a quota has its variable', () => {
  const given = Object.fromEntries(
    Object.keys(COMMANDS).map((command) => [`IMSYNC_QUOTA_${command.toUpperCase()}_PER_SECOND`, '3']),
  );
  expect(loadFrom(given).config.quota.perSecond).toEqual(
    Object.fromEntries(Object.keys(COMMANDS).map((command) => [command, 3])),
  );
});
