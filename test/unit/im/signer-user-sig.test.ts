import { createRequire } from 'node:module';
import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { readUserSig, signUserSig } from '../../../src/im/signer.ts';

/** A public sample key (user guide, generating UserSig). */
const secretKey = '5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e';
const sample = {
  sdkAppId: 1_400_000_000,
  identifier: 'administrator',
  secretKey,
  nowSeconds: 1_700_000_000,
  expireSeconds: 86_400,
};

/** The provider's own implementation; it takes the time from the clock. */
interface Oracle {
  genSig(identifier: string, expireSeconds: number, userBuf: null): string;
}
const { Api } = createRequire(import.meta.url)('tls-sig-api-v2/TLSSigAPIv2.js') as {
  Api: new (sdkAppId: number, key: string) => Oracle;
};

function decode(userSig: string): Record<string, unknown> {
  const base64 = userSig.replaceAll('*', '+').replaceAll('-', '/').replaceAll('_', '=');
  return JSON.parse(inflateSync(Buffer.from(base64, 'base64')).toString('utf8')) as Record<string, unknown>;
}

it('signs the test vector', () => {
  expect(decode(signUserSig(sample))).toEqual({
    'TLS.ver': '2.0',
    'TLS.identifier': 'administrator',
    'TLS.sdkappid': 1_400_000_000,
    'TLS.time': 1_700_000_000,
    'TLS.expire': 86_400,
    'TLS.sig': 'yLAe+w7WUeUuqbV9h/TX78u21oTGi+i9Zp1u3PpnY60=',
  });
});

it.each(['administrator', 'x', '管理员'])("signs as the provider's package does: %s", (identifier) => {
  const theirs = decode(new Api(1_400_000_001, 'another key').genSig(identifier, 3600, null));
  const ours = signUserSig({
    sdkAppId: 1_400_000_001,
    identifier,
    secretKey: 'another key',
    nowSeconds: Number(theirs['TLS.time']),
    expireSeconds: 3600,
  });
  expect(decode(ours)).toEqual(theirs);
});

it('uses only characters that an address does not encode', () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(), (key, extra) => {
      const userSig = signUserSig({ ...sample, secretKey: key, nowSeconds: 1 + extra });
      expect(userSig).toMatch(/^[\w*-]+$/);
      expect(new URLSearchParams({ userSig }).toString()).toBe(`userSig=${userSig}`);
    }),
    { numRuns: 30 },
  );
});

it('reads the claims of a UserSig made elsewhere', () => {
  expect(readUserSig(signUserSig(sample))).toEqual({
    identifier: 'administrator',
    sdkAppId: 1_400_000_000,
    issuedAtSeconds: 1_700_000_000,
    expireSeconds: 86_400,
  });
  for (const junk of ['', 'xxx', 'eJw', Buffer.from('{}').toString('base64')])
    expect(readUserSig(junk)).toBeUndefined();
});
