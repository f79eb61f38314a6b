import { requireForRedis, requireForWorker } from '../../../src/config/requirements.ts';
import { loadFrom } from './memory-files.ts';
import { problemsOf } from './problems-of.ts';

const app = { IMSYNC_SDK_APP_ID: '1400000000' };
const enough = { ...app, IMSYNC_SDK_SECRET_KEY: 'key' };

test('Redis needs the app, and the worker also needs a credential', () => {
  expect(() => requireForRedis(loadFrom(app).config)).not.toThrow();
  expect(() => requireForWorker(loadFrom(enough).config)).not.toThrow();
});

test('without any setting, every missing one is named', () => {
  const { config } = loadFrom({});
  const missing = "IMSYNC_SDK_APP_ID is not given; set it to the app's SDKAppID.";
  expect(problemsOf(() => requireForRedis(config))).toEqual([missing]);
  expect(problemsOf(() => requireForWorker(config))).toEqual([
    missing,
    'No credentials are given; set IMSYNC_SDK_SECRET_KEY or IMSYNC_USER_SIG, or IMSYNC_SDK_SECRET_KEY_FILE or IMSYNC_USER_SIG_FILE.',
  ]);
});

test.each([
  [{ IMSYNC_SDK_SECRET_KEY: 'a' }],
  [{ IMSYNC_SDK_SECRET_KEY_FILE: '/a' }],
  [{ IMSYNC_USER_SIG: 'a' }],
  [{ IMSYNC_USER_SIG_FILE: '/a' }],
])('one credential is enough: %o', (credential) => {
  expect(() => requireForWorker(loadFrom({ ...app, ...credential }).config)).not.toThrow();
});

test.each<[string, Record<string, string>, RegExp]>([
  ['two credentials', { IMSYNC_USER_SIG_FILE: '/sig' }, /^Both a secret key and a UserSig are given/],
  [
    'a short time-out',
    { IMSYNC_CALL_TIMEOUT_MS: '3000' },
    /^IMSYNC_CALL_TIMEOUT_MS is 3000; .* more than 3000/,
  ],
  ['no quota', { IMSYNC_QUOTA_SHARE: '0' }, /^IMSYNC_QUOTA_SHARE is 0.* must be more than 0\.$/],
  ['a vast margin', { IMSYNC_QUOTA_MARGIN: '0.6' }, /^IMSYNC_QUOTA_MARGIN is 0\.6; it must be 0\.5 at most/],
  ['a base over the top', { IMSYNC_RETRY_BASE_MS: '60001' }, /^IMSYNC_RETRY_BASE_MS is 60001; .*, 60000\.$/],
  [
    'waiting past expiry',
    { IMSYNC_RETRY_MAX_AGE_MS: '200' },
    /^IMSYNC_BATCH_MAX_WAIT_MS is 200; .*, 200, or /,
  ],
  [
    'an intake without tokens',
    { IMSYNC_INTAKE_PORT: '0' },
    /^IMSYNC_INTAKE_PORT is given, but no token: .*; set IMSYNC_INTAKE_TOKENS or /,
  ],
  [
    'a token that could be guessed',
    { IMSYNC_INTAKE_PORT: '0', IMSYNC_INTAKE_TOKENS: 'a-token-that-is-long-enough,geheim' },
    /^IMSYNC_INTAKE_TOKENS holds a token of fewer than 16 characters; make one with: /,
  ],
  [
    'a console that nobody could enter',
    { IMSYNC_CONSOLE_PORT: '0' },
    /^IMSYNC_CONSOLE_PORT is given, but no token: .*; set IMSYNC_CONSOLE_TOKENS or /,
  ],
  [
    "a console's token that could be guessed",
    { IMSYNC_CONSOLE_PORT: '0', IMSYNC_CONSOLE_VIEW_TOKENS: 'a-name-before-the:geheim' },
    /^IMSYNC_CONSOLE_VIEW_TOKENS holds a token of fewer than 16 characters/,
  ],
  [
    'a token that looks and acts',
    {
      ...{ IMSYNC_CONSOLE_PORT: '0', IMSYNC_CONSOLE_TOKENS: 'ann:0123456789abcdef' },
      IMSYNC_CONSOLE_VIEW_TOKENS: 'bob:0123456789abcdef',
    },
    /^A token stands in IMSYNC_CONSOLE_TOKENS and in IMSYNC_CONSOLE_VIEW_TOKENS; /,
  ],
  [
    'a single sign-on that anybody could claim',
    { IMSYNC_CONSOLE_PORT: '0', IMSYNC_CONSOLE_SSO_HEADER: 'X-User' },
    /^IMSYNC_CONSOLE_SSO_HEADER is given, but no proxy that may set it; set IMSYNC_CONSOLE_TRUSTED_PROXIES /,
  ],
  [
    'a single sign-on that every address may claim',
    {
      ...{ IMSYNC_CONSOLE_PORT: '0', IMSYNC_CONSOLE_SSO_HEADER: 'X-User' },
      IMSYNC_CONSOLE_TRUSTED_PROXIES: '10.0.0.1,::/0',
    },
    /^IMSYNC_CONSOLE_TRUSTED_PROXIES holds every address/,
  ],
  [
    'a single sign-on by a header of clients',
    {
      ...{ IMSYNC_CONSOLE_PORT: '0', IMSYNC_CONSOLE_SSO_HEADER: 'From' },
      IMSYNC_CONSOLE_TRUSTED_PROXIES: '10.0.0.1',
    },
    /^IMSYNC_CONSOLE_SSO_HEADER is From, which clients send themselves/,
  ],
  [
    'sentinels without nodes',
    { IMSYNC_REDIS_MODE: 'sentinel', IMSYNC_REDIS_SENTINEL_NAME: 'p' },
    /_NODES is not given/,
  ],
  [
    'nodes without sentinel name',
    { IMSYNC_REDIS_MODE: 'sentinel', IMSYNC_REDIS_NODES: 'a:1' },
    /_NAME is not given/,
  ],
  [
    'a socket of a cluster',
    { IMSYNC_REDIS_URL: '/run/r.sock', IMSYNC_REDIS_MODE: 'cluster' },
    /is a socket, but/,
  ],
  [
    'a certificate without its key',
    { IMSYNC_REDIS_URL: 'rediss://h', IMSYNC_REDIS_CERT_FILE: '/c' },
    /_CERT_FILE and IMSYNC_REDIS_KEY_FILE belong together/,
  ],
  [
    'a certificate without TLS',
    { IMSYNC_REDIS_CERT_FILE: '/c', IMSYNC_REDIS_KEY_FILE: '/k' },
    /without TLS; write rediss/,
  ],
  [
    'a login of sentinels without sentinels',
    { IMSYNC_REDIS_SENTINEL_USERNAME: 'u' },
    /Settings of sentinels are given/,
  ],
  [
    'two users',
    { IMSYNC_REDIS_URL: 'redis://a@h', IMSYNC_REDIS_USERNAME: 'b' },
    /^The user of Redis is given twice/,
  ],
  [
    'a sentinel name without sentinels',
    { IMSYNC_REDIS_SENTINEL_NAME: 'p' },
    /_NAME is given, but IMSYNC_REDIS_MODE is standalone/,
  ],
  [
    'nodes of a standalone Redis',
    { IMSYNC_REDIS_NODES: 'a:1' },
    /_NODES is given, but IMSYNC_REDIS_MODE is standalone/,
  ],
  [
    'a database of a cluster',
    { IMSYNC_REDIS_MODE: 'cluster', IMSYNC_REDIS_URL: 'redis://a/1' },
    /database 1, but /,
  ],
  [
    'a CA without TLS',
    { IMSYNC_REDIS_CA_FILE: '/ca.pem' },
    /_CA_FILE is given, but .* without TLS; write rediss/,
  ],
  [
    'two passwords',
    { IMSYNC_REDIS_URL: 'redis://:geheim@a', IMSYNC_REDIS_PASSWORD: 'geheim2' },
    /^The password of Redis is given twice, in IMSYNC_REDIS_URL and in IMSYNC_REDIS_PASSWORD; /,
  ],
])('%s', (_, env, sentence) => {
  const problems = problemsOf(() => requireForWorker(loadFrom({ ...enough, ...env }).config));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(sentence);
  expect(problems[0]).not.toContain('geheim');
});

test.each<[Record<string, string>]>([
  [{ IMSYNC_REDIS_MODE: 'cluster' }],
  [{ IMSYNC_REDIS_MODE: 'cluster', IMSYNC_REDIS_NODES: 'a:1,b:2', IMSYNC_REDIS_CA_FILE: '/ca.pem' }],
  [{ IMSYNC_REDIS_MODE: 'sentinel', IMSYNC_REDIS_NODES: 'a:1', IMSYNC_REDIS_SENTINEL_NAME: 'p' }],
  [{ IMSYNC_REDIS_URL: 'rediss://user@a/3', IMSYNC_REDIS_PASSWORD: 'p', IMSYNC_REDIS_CA_FILE: '/ca.pem' }],
  [{ IMSYNC_INTAKE_TOKENS: 'short-but-unused' }],
  [{ IMSYNC_INTAKE_PORT: '0', IMSYNC_INTAKE_TOKENS: '0123456789abcdef,fedcba9876543210' }],
  [{ IMSYNC_INTAKE_PORT: '1', IMSYNC_INTAKE_HOST: '0.0.0.0', IMSYNC_INTAKE_TOKENS_FILE: '/t' }],
  [{ IMSYNC_CONSOLE_PORT: '0', IMSYNC_CONSOLE_TOKENS_FILE: '/t' }],
  [
    {
      ...{ IMSYNC_CONSOLE_PORT: '0', IMSYNC_CONSOLE_SSO_HEADER: 'X-User' },
      IMSYNC_CONSOLE_TRUSTED_PROXIES: '10.0.0.1',
    },
  ],
  [{ IMSYNC_CALL_TIMEOUT_MS: '3001', IMSYNC_QUOTA_MARGIN: '0', IMSYNC_RETRY_BASE_MS: '60000' }],
])('is accepted: %o', (env) => {
  expect(() => requireForWorker(loadFrom({ ...enough, ...env }).config)).not.toThrow();
});
