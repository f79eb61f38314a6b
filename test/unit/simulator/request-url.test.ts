import type { CommandName } from '../../../simulator/commands.ts';
import { checkQuery, readTarget } from '../../../simulator/http/request-url.ts';
import { UserSigVerifier } from '../../../simulator/http/user-sig.ts';
import { callUrl, TEST_APP, userSigForTest } from '../../support/simulator.ts';

function check(query: Record<string, string | undefined>, command: CommandName = 'account_import'): number {
  const url = callUrl('', command, query);
  const verifier = new UserSigVerifier(TEST_APP);
  return checkQuery(command, url.slice(url.indexOf('?') + 1), TEST_APP, verifier, Date.now());
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
