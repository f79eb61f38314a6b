import { ConfigError } from '../../../src/config/config.ts';
import { secretKeyFault, userSigFault } from '../../../src/config/credential-shape.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { readSecrets } from '../../../src/config/secrets.ts';
import { signUserSig } from '../../../src/im/signer.ts';

/** A public sample. */
const KEY = '5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e';
const SIG = signUserSig({
  sdkAppId: 1_400_000_000,
  identifier: 'administrator',
  secretKey: KEY,
  nowSeconds: 1_700_000_000,
  expireSeconds: 86_400,
});

const MISTAKES: readonly (readonly [given: string, words: string])[] = [
  [`"${KEY}"`, 'quotes'],
  [`'${KEY}'`, 'quotes'],
  [`IMSYNC_SDK_SECRET_KEY=${KEY}`, 'NAME=value'],
  [`export SECRETKEY = "${KEY}"`, 'NAME=value'],
  [`SECRETKEY: ${KEY}`, 'NAME=value'],
  [`${KEY},`, 'comma'],
  [`{"key":"${KEY}"}`, 'JSON'],
  [SIG, 'is a UserSig'],
];

function problems(work: () => unknown): string {
  try {
    work();
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.join('\n');
    throw error;
  }
}

const load = (env: Record<string, string>, file = '') =>
  loadConfig({
    env: { IMSYNC_SDK_APP_ID: '1400000000', ...env },
    configDir: '/none',
    readFile: (path) => {
      if (path === 'key') return file;
      throw Object.assign(new Error('none'), { code: 'ENOENT' });
    },
  });

test.each(MISTAKES)('%j in the place of the key is named, and not shown', (given, words) => {
  const fromEnv = problems(() => load({ IMSYNC_SDK_SECRET_KEY: given }));
  const { config } = load({ IMSYNC_SDK_SECRET_KEY_FILE: 'key' });
  const fromFile = problems(() => readSecrets(config, () => `${given}\n`));
  for (const said of [fromEnv, fromFile]) {
    expect(said).toContain(words);
    expect(said).toContain('IMSYNC_SDK_SECRET_KEY');
    expect(said).not.toContain(KEY);
    expect(said).not.toContain(SIG);
  }
});

test('the key in the place of the UserSig is named, and not shown', () => {
  const said = problems(() => load({ IMSYNC_USER_SIG: KEY }));
  expect(said).toMatch(/IMSYNC_USER_SIG is not accepted.*the app's key.*IMSYNC_SDK_SECRET_KEY/);
  expect(said).not.toContain(KEY);
});

test.each([KEY, KEY.toUpperCase(), 'test-key', 'YWJj==', 'a/b+c='])('%s may be a key', (key) => {
  expect(secretKeyFault(key)).toBeUndefined();
});

test('a UserSig may be one', () => {
  expect(userSigFault(SIG)).toBeUndefined();
});
