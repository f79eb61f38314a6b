import { deflateSync } from 'node:zlib';
import library from 'tls-sig-api-v2/TLSSigAPIv2.js';
import type { CommandName } from '../../../simulator/commands.ts';
import { checkQuery, readTarget, verifyUserSig } from '../../../simulator/http/request-url.ts';
import { callUrl, TEST_APP, userSigForTest } from '../../support/simulator.ts';

function check(query: Record<string, string | undefined>, command: CommandName = 'account_import'): number {
  const url = callUrl('', command, query);
  return checkQuery(command, url.slice(url.indexOf('?') + 1), TEST_APP, Date.now());
}

describe('readTarget', () => {
  test('knows every command of each service', () => {
    const url = '/v4/registration_service/register_account_v1?sdkappid=1';
    expect(readTarget('POST', url)).toEqual({
      kind: 'call',
      command: 'register_account_v1',
      query: 'sdkappid=1',
    });
  });

  test.each([
    ['GET', '/v4/im_open_login_svc/account_import', 60002],
    ['POST', '/v3/im_open_login_svc/account_import', 60002],
    ['POST', '/v4/im_open_login_svc/account_import/', 60002],
    ['POST', '/v4/im_open_login_svc/kick', 60009],
    ['POST', '/v4/im_open_login_svc/Account_Import', 60009],
    ['POST', '/v4/registration_service/account_import', 60009],
    ['POST', '/v4/im_open_login_svc/toString', 60009],
  ])('%s %s is refused', (method, url, code) => {
    expect(readTarget(method, url)).toEqual({ kind: 'unknown', code });
  });
});

describe('checkQuery', () => {
  test.each<[string, Record<string, string | undefined>, number]>([
    ['a good one', {}, 0],
    ['random 0', { random: '0' }, 0],
    ['the largest random', { random: '4294967295' }, 0],
    ['no sdkappid', { sdkappid: undefined }, 60012],
    ['sdkappid no number', { sdkappid: '14x' }, 60006],
    ['another sdkappid', { sdkappid: '1400000001' }, 70020],
    ['no random', { random: undefined }, 60002],
    ['random too large', { random: '4294967296' }, 60002],
    ['random negative', { random: '-1' }, 60002],
    ['no contenttype', { contenttype: undefined }, 60002],
    ['another contenttype', { contenttype: 'JSON' }, 60002],
    ['no identifier', { identifier: undefined }, 60004],
    ['not the admin', { identifier: 'bob', usersig: userSigForTest({ identifier: 'bob' }) }, 70403],
    ['no usersig', { usersig: undefined }, 70002],
    ['a bad usersig', { usersig: userSigForTest({ secretKey: 'x' }) }, 70009],
  ])('%s', (_name, query, code) => {
    expect(check(query)).toBe(code);
  });

  test('each command has its own code for a caller who is not the admin', () => {
    expect(check({ identifier: 'bob' }, 'register_account_v1')).toBe(70425);
    expect(check({ identifier: 'bob' }, 'account_check')).toBe(60010);
    expect(check({ sdkappid: '1400000001' }, 'register_account_v1')).toBe(70411);
  });
});

const TIME = 1700000000;
const NOW_MS = TIME * 1000 + 5000;

function wrap(text: string): string {
  const base64 = deflateSync(text).toString('base64');
  return base64.replaceAll('+', '*').replaceAll('/', '-').replaceAll('=', '_');
}

describe('verifyUserSig', () => {
  test('accepts the signature of the public sample', () => {
    const json = {
      'TLS.ver': '2.0',
      'TLS.identifier': 'administrator',
      'TLS.sdkappid': 1400000000,
      'TLS.time': TIME,
      'TLS.expire': 86400,
      'TLS.sig': 'yLAe+w7WUeUuqbV9h/TX78u21oTGi+i9Zp1u3PpnY60=',
    };
    const sig = wrap(JSON.stringify(json));
    expect(verifyUserSig(sig, TEST_APP, NOW_MS)).toBe(0);
    const expiresAtMs = (TIME + 86400) * 1000;
    expect(verifyUserSig(sig, TEST_APP, expiresAtMs - 1)).toBe(0);
    expect(verifyUserSig(sig, TEST_APP, expiresAtMs)).toBe(70001);
  });

  test('accepts signatures of the provider’s library and of the test helper', () => {
    const oracle = new library.Api(TEST_APP.sdkAppId, TEST_APP.secretKey);
    const nowMs = Date.now();
    expect(verifyUserSig(oracle.genUserSig('administrator', 600), TEST_APP, nowMs)).toBe(0);
    expect(verifyUserSig(userSigForTest(), TEST_APP, nowMs)).toBe(0);
  });

  const signed = (parts: object) => userSigForTest({ time: TIME, ...parts });
  test.each([
    ['empty', '', 70002],
    ['of wrong letters', 'not/base64+of=ours', 70003],
    ['no zlib data', 'eJxNjk', 70003],
    ['zlib of no JSON', wrap('hello'), 70003],
    ['JSON of no object', wrap('7'), 70003],
    ['a bomb', wrap(`"${'a'.repeat(100_000)}"`), 70003],
    ['fields missing', wrap('{"TLS.ver":"2.0"}'), 70005],
    ['other app', signed({ sdkAppId: 1400000001 }), 70014],
    ['other user', signed({ identifier: 'somebody' }), 70013],
    ['wrong key', signed({ secretKey: 'another key' }), 70009],
    ['wrong key and expired', signed({ secretKey: 'another key', expire: 1 }), 70009],
    ['expired', signed({ expire: 5 }), 70001],
  ])('%s', (_name, sig, code) => {
    expect(verifyUserSig(sig, TEST_APP, NOW_MS)).toBe(code);
  });
});
