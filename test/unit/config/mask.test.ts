import fc from 'fast-check';
import { ConfigError } from '../../../src/config/config.ts';
import { maskedView, quoted, shown, withoutPassword } from '../../../src/config/mask.ts';
import { settings } from '../../../src/config/schema.ts';
import { loadFrom } from './memory-files.ts';

const row = (env: Record<string, string>, path: string) =>
  maskedView(loadFrom(env)).find((setting) => setting.path === path);

test('a row for every setting, with its value and origin', () => {
  const view = maskedView(loadFrom({ IMSYNC_REDIS_NODES: 'a:1,[::1]:2', IMSYNC_REDIS_MODE: 'cluster' }));
  expect(view.map(({ path }) => path)).toEqual(settings.map(({ path }) => path));
  expect(view.find(({ path }) => path === 'redis.nodes')).toEqual({
    path: 'redis.nodes',
    variable: 'IMSYNC_REDIS_NODES',
    value: 'a:1,[::1]:2',
    origin: 'environment IMSYNC_REDIS_NODES',
    doc: 'Nodes of the cluster to start from, or the sentinels.',
  });
  expect(view.find(({ path }) => path === 'intake.port')).toMatchObject({
    value: '(not set: no HTTP intake)',
    origin: 'default',
  });
  expect(view.find(({ path }) => path === 'app.sdkAppId')?.value).toBe('(not set: must be given)');
  expect(view.find(({ path }) => path === 'batch.eagerShare')?.value).toBe('0.2');
  expect(view.find(({ path }) => path === 'verdicts')?.variable).toBe('');
});

test('a secret is shown only as set or not set', () => {
  expect(row({ IMSYNC_USER_SIG: 'x' }, 'credentials.userSig')?.value).toBe('(set)');
  expect(row({}, 'credentials.userSig')?.value).toBe('(not set)');
  expect(row({ IMSYNC_INTAKE_TOKENS: 'x' }, 'intake.tokens')?.value).toBe('(set)');
  expect(row({}, 'intake.tokens')?.value).toBe('(not set)');
  expect(row({ IMSYNC_USER_SIG_FILE: '/run/sig' }, 'credentials.userSigFile')?.value).toBe('/run/sig');
});

test('verdicts are shown as pairs', () => {
  const view = maskedView(loadFrom({}, { '/f': { verdicts: { 1: 'app', 2: 'retry' } } }, '/f'));
  expect(view.at(-1)?.value).toBe('1=app,2=retry');
});

test.each([
  ['redis://u:p@h:1/2', 'redis://u:***@h:1/2'],
  ['redis://:p@h', 'redis://:***@h'],
  ['redis://u@h', 'redis://u@h'],
  ['redis://h:1', 'redis://h:1'],
  ['redis://u:p@p@h', 'redis://***@h'],
  ['redis://u:p/p@h', 'redis://***@h'],
  ['u:p@h', '***@h'],
  ['https://h/?usersig=x', 'https://h/?***'],
])('%s is shown as %s', (address, masked) => {
  expect(withoutPassword(address)).toBe(masked);
});

test('quoted values are short and keep their blanks visible', () => {
  expect(quoted(undefined, '1 ')).toBe('"1 "');
  expect(quoted(undefined, { a: 1 })).toBe('{"a":1}');
  expect(quoted(undefined, 'x'.repeat(100))).toHaveLength(82);
  expect(shown('path', 'eJxNotAPath')).toBe('(not shown: it does not look like a path)');
});

describe('no secret comes out', () => {
  const secret = fc.stringMatching(/^zq[0-9a-f]{16,40}$/);
  const places: readonly ((s: string) => Record<string, string>)[] = [
    (s) => ({ IMSYNC_SDK_SECRET_KEY: s }),
    (s) => ({ IMSYNC_USER_SIG: s, IMSYNC_USER_SIG_FILE: '/run/sig' }),
    (s) => ({ IMSYNC_USER_SIG: `${s} ${s}` }),
    (s) => ({ IMSYNC_USER_SIG_FILE: s }),
    (s) => ({ IMSYNC_USER_SIG_FILE: `${s}\n` }),
    (s) => ({ IMSYNC_REDIS_PASSWORD: s }),
    (s) => ({ IMSYNC_REDIS_PASSWORD: `${s}\n` }),
    (s) => ({ IMSYNC_REDIS_URL: `redis://:${s}@host:6379` }),
    (s) => ({ IMSYNC_REDIS_URL: `redis://me:${s}@@host` }),
    (s) => ({ IMSYNC_REDIS_URL: `me:${s}@host` }),
    (s) => ({ IMSYNC_REDIS_URL: `redis://host?password=${s}` }),
    (s) => ({ IMSYNC_REDIS_NODES: `redis://:${s}@host:1,host:2` }),
    (s) => ({ IMSYNC_BASE_URL: `https://me:${s}@host` }),
    (s) => ({ IMSYNC_BASE_URL: `https://host/v4?usersig=${s}` }),
    (s) => ({ IMSYNC_INTAKE_TOKENS: `${s},${s}` }),
    (s) => ({ IMSYNC_INTAKE_TOKENS: `${s}\u00e9` }),
    (s) => ({ IMSYNC_SECRET_KEY: s }),
  ];

  test('neither in the view nor in a refusal', () => {
    fc.assert(
      fc.property(fc.constantFrom(...places), secret, (place, value) => {
        expect(said(() => loadFrom(place(value)))).not.toContain(value);
      }),
      { numRuns: 200 },
    );
  });

  test('nor from a file', () => {
    fc.assert(
      fc.property(
        secret,
        fc.constantFrom('{"credentials":{"secretKey":"@"', '{"a":@}', '@', '{"@":1'),
        (value, text) => {
          const file = text.replace('@', value);
          expect(said(() => loadFrom({}, { '/f': file }, '/f'))).not.toContain(value);
        },
      ),
    );
  });
});

function said(load: () => ReturnType<typeof loadFrom>): string {
  try {
    return JSON.stringify(maskedView(load()));
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}
