import { loadFrom } from './memory-files.ts';
import { problemsOf } from './problems-of.ts';

const ofEnv = (env: Record<string, string>): readonly string[] => problemsOf(() => loadFrom(env));
const ofFile = (content: unknown): readonly string[] =>
  problemsOf(() => loadFrom({}, { '/f.json': content }, '/f.json'));

test('one error names every problem of every source', () => {
  const files = { '/config/default.json': { batch: { maxSize: 0 } }, '/f.json': '{' };
  const env = { IMSYNC_OPS_PORT: 'x', IMSYNC_NOPE: '1', IMSYNC_API: 'new' };
  expect(problemsOf(() => loadFrom(env, files, '/f.json'))).toEqual([
    'batch.maxSize in default.json is 0; it must be a whole number from 1 to 100.',
    'The configuration file /f.json is not valid JSON (line 1).',
    'IMSYNC_OPS_PORT is "x"; it must be a whole number from 0 to 65535.',
    'IMSYNC_NOPE is not a variable of imsync. docs/configuration.md lists all of them.',
    'IMSYNC_API is "new"; it must be one of current, legacy, hosted.',
  ]);
});

test('the message of the error holds one line per problem', () => {
  expect(() => loadFrom({ IMSYNC_NOPE: '', IMSYNC_NOR: '' })).toThrow(/IMSYNC_NOPE .*\nIMSYNC_NOR /);
});

test.each([
  [
    'IMSYNC_REDIS_URL',
    'localhost',
    /^IMSYNC_REDIS_URL is "localhost"; it must be a redis:\/\/ or rediss:\/\//,
  ],
  ['IMSYNC_REDIS_MODE', 'clutser', / one of standalone, cluster, sentinel\.$/],
  ['IMSYNC_REDIS_NODES', 'a', / must be host:port pairs separated by commas /],
  ['IMSYNC_REDIS_ALLOW_VOLATILE', 'True', / is "True"; it must be true or false\. Did you mean true\?$/],
  ['IMSYNC_SDK_APP_ID', '0', / is "0"; it must be a whole number of 1 or more\.$/],
  ['IMSYNC_ADMIN_ID', 'two words', / must be 1 to 32 printable ASCII characters without blanks\.$/],
  ['IMSYNC_REGION', 'China', / Did you mean china\?$/],
  ['IMSYNC_BASE_URL', 'api.example.org', / must be an http:\/\/ or https:\/\/ address /],
  ['IMSYNC_CALL_TIMEOUT_MS', '8s', / is "8s"; it must be a whole number from 1 to 600000\.$/],
  ['IMSYNC_BATCH_MAX_SIZE', '101', / is "101"; it must be a whole number from 1 to 100\.$/],
  ['IMSYNC_BATCH_MAX_SIZE', '100 ', / is "100 "; /],
  ['IMSYNC_BATCH_EAGER_SHARE', '20%', / is "20%"; it must be a number from 0 to 1\.$/],
  ['IMSYNC_QUOTA_ACCOUNT_IMPORT_PER_SECOND', '0', / must be a whole number from 1 to 100000\.$/],
  [
    'IMSYNC_LOG_LEVEL',
    'warning',
    /^IMSYNC_LOG_LEVEL is "warning"; it must be one of trace, debug, info, warn, /,
  ],
  ['IMSYNC_OPS_HOST', 'http://x', / must be a host name or an IP address\.$/],
  [
    'IMSYNC_INTAKE_PORT',
    'tcp://10.0.0.1:80',
    / Kubernetes sets such variables for a Service .*enableServiceLinks/,
  ],
  [
    'IMSYNC_ENV',
    '../secret',
    /^IMSYNC_ENV is "..\/secret"; it must be a name of letters, digits, _ and -\.$/,
  ],
  ['NODE_ENV', 'a/b', /^NODE_ENV is "a\/b"; /],
])('%s=%s', (name, value, sentence) => {
  const problems = ofEnv({ [name]: value });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(sentence);
});

test('an unknown variable is refused even when empty; other case or separators get a suggestion', () => {
  expect(ofEnv({ IMSYNC_BATCH_MAXSIZE: '' })).toEqual([
    'IMSYNC_BATCH_MAXSIZE is not a variable of imsync. Did you mean IMSYNC_BATCH_MAX_SIZE?',
  ]);
  expect(ofEnv({ IMSYNC_REDIS_PASWORD: 'geheim' })).toEqual([
    'IMSYNC_REDIS_PASWORD is not a variable of imsync. docs/configuration.md lists all of them.',
  ]);
  for (const name of [
    'IMSYNC_SERVICE_HOST',
    'IMSYNC_PORT',
    'IMSYNC_PORT_9464_TCP',
    'IMSYNC_WEB_SERVICE_PORT_A',
  ]) {
    expect(ofEnv({ [name]: 'x' })[0]).toContain('enableServiceLinks: false');
  }
});

test('variables of other programs are ignored', () => {
  expect(() => loadFrom({ IMSYNCX: '1', imsync_redis_url: 'x', PATH: '/bin' })).not.toThrow();
});

test('unknown keys and wrong values of a file are refused', () => {
  expect(ofFile({ batch: { maxsize: 5 } })).toEqual([
    'batch.maxsize in /f.json is not a setting of imsync. Did you mean maxSize?',
  ]);
  expect(ofFile({ log: { colour: 'red' } })).toEqual([
    'log.colour in /f.json is not a setting of imsync. Known here: level.',
  ]);
  expect(ofFile({ retry: 5 })).toEqual([
    'retry in /f.json must be an object that holds baseMs, maxMs, maxAgeMs.',
  ]);
  expect(ofFile({ batch: { maxSize: '5' } })).toEqual([
    'batch.maxSize in /f.json is "5"; it must be a whole number from 1 to 100.',
  ]);
  expect(ofFile({ verdicts: { 70402: 'maybe' } })).toEqual([
    'verdicts in /f.json is {"70402":"maybe"}; it must be an object of error codes, each to one of retry, account, body, app, throttle.',
  ]);
  expect(ofFile([])).toEqual(['/f.json must hold a JSON object with the settings.']);
  expect(ofFile('{"__proto__": {"x": 1}, "constructor": {"prototype": 1}}')).toHaveLength(2);
});

test('a file that cannot be read or parsed is refused without quoting it', () => {
  expect(problemsOf(() => loadFrom({}, {}, '/gone.json'))).toEqual([
    'The configuration file /gone.json cannot be read (ENOENT).',
  ]);
  const [problem] = ofFile('{\n  "credentials": {\n    "secretKey": geheim\n  }\n}');
  expect(problem).toMatch(/^The configuration file \/f\.json is not valid JSON/);
  expect(problem).not.toContain('geheim');
});

test('a secret and its file are refused together, from any source', () => {
  const env = {
    IMSYNC_SDK_SECRET_KEY: 'geheim',
    IMSYNC_SDK_SECRET_KEY_FILE: '/run/key',
    IMSYNC_INTAKE_TOKENS_FILE: '/run/tokens',
  };
  const files = { '/config/default.json': { intake: { tokens: ['geheim'] } } };
  expect(problemsOf(() => loadFrom(env, files))).toEqual([
    'IMSYNC_SDK_SECRET_KEY (from environment IMSYNC_SDK_SECRET_KEY) and IMSYNC_SDK_SECRET_KEY_FILE (from environment IMSYNC_SDK_SECRET_KEY_FILE) are both given; give one of them.',
    'IMSYNC_INTAKE_TOKENS (from file default.json) and IMSYNC_INTAKE_TOKENS_FILE (from environment IMSYNC_INTAKE_TOKENS_FILE) are both given; give one of them.',
  ]);
});
