import { deflateSync } from 'node:zlib';
import library from 'tls-sig-api-v2/TLSSigAPIv2.js';
import { UserSigVerifier, verifyUserSig } from '../../../simulator/http/user-sig.ts';
import { TEST_APP, userSigForTest } from '../../support/simulator.ts';

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
    const verdict = verifyUserSig(wrap(JSON.stringify(json)), TEST_APP, NOW_MS);
    expect(verdict).toEqual({ ok: true, expiresAtMs: (TIME + 86400) * 1000 });
  });

  test('accepts signatures of the provider’s library and of the test helper', () => {
    const oracle = new library.Api(TEST_APP.sdkAppId, TEST_APP.secretKey);
    const nowMs = Date.now();
    expect(verifyUserSig(oracle.genUserSig('administrator', 600), TEST_APP, nowMs).ok).toBe(true);
    expect(verifyUserSig(userSigForTest(), TEST_APP, nowMs).ok).toBe(true);
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
    expect(verifyUserSig(sig, TEST_APP, NOW_MS)).toEqual({ ok: false, code });
  });

  test('a cached signature expires', () => {
    const verifier = new UserSigVerifier(TEST_APP);
    const sig = signed({ expire: 10 });
    expect(verifier.verify(sig, NOW_MS).ok).toBe(true);
    expect(verifier.verify(sig, NOW_MS + 4999).ok).toBe(true);
    expect(verifier.verify(sig, NOW_MS + 5000)).toEqual({ ok: false, code: 70001 });
  });
});
