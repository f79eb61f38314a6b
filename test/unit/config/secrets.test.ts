import { readSecrets } from '../../../src/config/secrets.ts';
import { loadFrom, memoryFiles } from './memory-files.ts';
import { problemsOf } from './problems-of.ts';

const inFiles = {
  IMSYNC_SDK_SECRET_KEY_FILE: '/run/key',
  IMSYNC_REDIS_PASSWORD_FILE: '/run/password',
  IMSYNC_INTAKE_TOKENS_FILE: '/run/tokens',
};

test('secrets are read from the environment', () => {
  const { config } = loadFrom({
    IMSYNC_USER_SIG: 'eJx-*_',
    IMSYNC_REDIS_PASSWORD: 'pass word',
    IMSYNC_INTAKE_TOKENS: 'a,b',
  });
  expect(readSecrets(config, memoryFiles({}))).toEqual({
    secretKey: undefined,
    userSig: 'eJx-*_',
    redisPassword: 'pass word',
    intakeTokens: ['a', 'b'],
  });
});

test('secrets that are not given are undefined or empty', () => {
  expect(readSecrets(loadFrom({}).config, memoryFiles({}))).toEqual({
    secretKey: undefined,
    userSig: undefined,
    redisPassword: undefined,
    intakeTokens: [],
  });
});

test('secrets of files are trimmed and read again each time', () => {
  const { config } = loadFrom(inFiles);
  const files = { '/run/key': 'old\n', '/run/password': ' p w \r\n', '/run/tokens': 'a\nb\n' };
  expect(readSecrets(config, memoryFiles(files))).toEqual({
    secretKey: 'old',
    userSig: undefined,
    redisPassword: 'p w',
    intakeTokens: ['a', 'b'],
  });
  expect(readSecrets(config, memoryFiles({ ...files, '/run/key': 'new' })).secretKey).toBe('new');
  expect(config.credentials).toMatchObject({ secretKey: '', secretKeyFile: '/run/key' });
});

test('one error names every bad file by its variable and quotes none', () => {
  const { config } = loadFrom(inFiles);
  const files = memoryFiles({ '/run/password': '\n', '/run/tokens': 'gehe\u00eem' });
  expect(problemsOf(() => readSecrets(config, files))).toEqual([
    'The file of IMSYNC_REDIS_PASSWORD_FILE is empty.',
    'The file of IMSYNC_SDK_SECRET_KEY_FILE cannot be read (ENOENT).',
    'The file of IMSYNC_INTAKE_TOKENS_FILE does not hold what it should: tokens of printable ASCII characters separated by commas (in a file: a list of them).',
  ]);
});

test('a key of two lines is refused', () => {
  const { config } = loadFrom({ IMSYNC_SDK_SECRET_KEY_FILE: '/run/key' });
  expect(problemsOf(() => readSecrets(config, memoryFiles({ '/run/key': 'a\nb' })))).toEqual([
    'The file of IMSYNC_SDK_SECRET_KEY_FILE does not hold what it should: printable ASCII characters without blanks.',
  ]);
});
