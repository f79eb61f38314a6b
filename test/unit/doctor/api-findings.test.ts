import { loadConfig } from '../../../src/config/load.ts';
import { apiFindings, keyShapeFinding } from '../../../src/doctor/api-findings.ts';
import type { Answer, ApiAnswer } from '../../../src/im/answers.ts';
import { verdictOf } from '../../../src/im/verdicts.ts';

const noFiles = (): string => {
  throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
};

function findingsOf(answer: Answer, env: Record<string, string> = {}, clockAheadMs?: number) {
  const { config } = loadConfig({ env: { IMSYNC_SDK_APP_ID: '1400000000', ...env }, readFile: noFiles });
  const probe = { answer, verdict: verdictOf('account_check', answer), roundTripMs: 40, clockAheadMs };
  const findings = apiFindings(config, probe);
  expect(findings.map(({ name }) => name)).toEqual([
    'api.reachable',
    'api.region',
    'api.credentials',
    'api.clock',
  ]);
  return Object.fromEntries(findings.map((finding) => [finding.name, finding]));
}
const api = (errorCode: number, errorInfo = ''): ApiAnswer => ({
  ...{ kind: 'api', httpStatus: 200, errorCode, errorInfo, failAccounts: [], body: {} },
});

describe('apiFindings', () => {
  test('every check passes when the API accepts the call', () => {
    const findings = findingsOf(api(0), {}, 900);
    expect(Object.values(findings).map(({ state }) => state)).toEqual(['ok', 'ok', 'ok', 'ok']);
  });

  test.each([70016, 70020])('%i: the finding names this region and the others', (code) => {
    const { 'api.region': region, 'api.credentials': credentials } = findingsOf(api(code), {
      IMSYNC_REGION: 'seoul',
    });
    expect(region).toMatchObject({
      state: 'wrong',
      text: expect.stringContaining('This SDKAppID does not belong to the region seoul'),
    });
    expect(region?.todo).toMatch(/IMSYNC_REGION, .*china, singapore, tokyo/);
    expect(credentials?.state).toBe('skipped');
  });

  test.each([
    [70009, /IMSYNC_SDK_SECRET_KEY/],
    [70398, /number of accounts/],
    [60020, /The app or its plan is disabled/],
    [70403, /must be an admin/],
    [60006, /IMSYNC_SDK_APP_ID/],
  ])('%i: the finding says what to do when every call is refused', (code, todo) => {
    expect(findingsOf(api(code, 'as the API puts it'))['api.credentials']).toMatchObject({
      state: 'wrong',
      text: expect.stringContaining(`${code}, `),
      todo: expect.stringMatching(todo),
    });
  });

  test.each<[string, Answer]>([
    [
      'a host name without an address',
      { kind: 'fault', fault: 'dns', errorInfo: 'no such name', sent: false },
    ],
    ['a failed TLS connection', { kind: 'fault', fault: 'tls', errorInfo: 'bad certificate', sent: false }],
    ['a gateway error', { kind: 'http', httpStatus: 502, errorInfo: 'HTTP 502' }],
    ['an internal error of the service', api(70500)],
  ])('%s: the API is out of reach, and the other host is named', (_name, answer) => {
    const { 'api.reachable': reachable } = findingsOf(answer);
    expect(reachable).toMatchObject({ state: 'wrong', cause: 'out-of-reach' });
    expect(reachable?.todo).toContain('IMSYNC_BASE_URL=https://adminapi.my-imcloud.com');
  });

  test('an answer of something else is recognised', () => {
    const { 'api.reachable': reachable } = findingsOf({
      kind: 'http',
      httpStatus: 404,
      errorInfo: 'HTTP 404',
    });
    expect(reachable).toMatchObject({
      state: 'wrong',
      text: expect.stringContaining('it is not the API: HTTP 404'),
    });
    expect(reachable?.cause).toBeUndefined();
  });

  test('a refusal over the quota says nothing about the settings', () => {
    const findings = findingsOf(api(60007));
    expect(findings['api.credentials']).toMatchObject({
      state: 'skipped',
      text: expect.stringContaining('60007'),
    });
  });

  test('a wrong clock is reported with any answer', () => {
    expect(findingsOf(api(70009), {}, -300_000)['api.clock']).toMatchObject({
      state: 'wrong',
      text: "This machine's clock is 5 min ahead of the API's",
    });
  });
});

it.each([
  ['5b'.repeat(32), 'ok', 'has the shape'],
  ['5B'.repeat(32), 'hint', 'capital letters'],
  ['5b', 'hint', 'not 64 hexadecimal digits'],
])('the shape of the key %s: %s', (key, state, words) => {
  expect(keyShapeFinding(key)).toMatchObject({ state, text: expect.stringContaining(words) });
});
