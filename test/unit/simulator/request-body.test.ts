import type { CommandName } from '../../../simulator/commands.ts';
import { countDuplicates, readCallBody } from '../../../simulator/http/request-body.ts';

function read(command: CommandName, body: unknown) {
  return readCallBody(command, typeof body === 'string' ? body : JSON.stringify(body));
}

const hundredOne = Array.from({ length: 101 }, (_, i) => `u${i}`);

describe('readCallBody', () => {
  test('reads the sample bodies of the documents', () => {
    const faceUrl = 'http://www.qq.com';
    const list = { AccountList: [{ UserID: 'UserID_001', Nick: 'Nick_001', FaceUrl: faceUrl }] };
    expect(read('multiaccount_import', list)).toEqual([
      { userId: 'UserID_001', nick: 'Nick_001', faceUrl, type: undefined },
    ]);
    expect(read('multiaccount_import', { Accounts: ['test1', 'test2'] })).toMatchObject([
      { userId: 'test1' },
      { userId: 'test2' },
    ]);
    expect(read('account_import', { UserID: 'test', Nick: 'n' })).toMatchObject([
      { userId: 'test', nick: 'n' },
    ]);
    expect(read('account_import', { Identifier: 'test', Type: 1 })).toMatchObject([
      { userId: 'test', type: 1 },
    ]);
    // The current form lists no Type, so the field is ignored like any unknown one.
    for (const Type of [0, 1, 2, 'robot']) {
      const ordinary = [{ userId: 'test', type: undefined }];
      expect(read('account_import', { UserID: 'test', Type })).toMatchObject(ordinary);
      expect(read('multiaccount_import', { AccountList: [{ UserID: 'test', Type }] })).toMatchObject(
        ordinary,
      );
    }
    const registration = { Identifier: 'testaccount1', IdentifierType: 3, Password: 'pas122333' };
    expect(read('register_account_v1', registration)).toMatchObject([{ userId: 'testaccount1' }]);
    expect(read('account_check', { CheckItem: [{ UserID: 'a' }] })).toMatchObject([{ userId: 'a' }]);
    expect(read('account_delete', { DeleteItem: [{ UserID: 'a' }] })).toMatchObject([{ userId: 'a' }]);
  });

  test.each<[string, CommandName, unknown, number]>([
    ['empty', 'account_import', '', 60003],
    ['no JSON', 'multiaccount_import', '{"AccountList":[', 60003],
    ['a list', 'account_import', '[]', 60003],
    ['no account', 'account_import', {}, 70402],
    ['names are case-sensitive', 'account_import', { userid: 'a' }, 70402],
    ['number as account', 'account_import', { UserID: 7 }, 60015],
    ['null as account', 'account_import', { Identifier: null }, 60015],
    ['number as nick', 'account_import', { UserID: 'a', Nick: 7 }, 40610],
    ['unknown type', 'account_import', { Identifier: 'a', Type: 2 }, 70402],
    ['no list', 'multiaccount_import', {}, 70402],
    ['list is an object', 'multiaccount_import', { AccountList: {} }, 70402],
    ['empty list', 'multiaccount_import', { AccountList: [] }, 70206],
    ['empty old list', 'multiaccount_import', { Accounts: [] }, 70206],
    ['101 accounts', 'multiaccount_import', { Accounts: hundredOne }, 70206],
    ['number in old list', 'multiaccount_import', { Accounts: ['a', 7] }, 60015],
    ['text in new list', 'multiaccount_import', { AccountList: ['a'] }, 70402],
    ['number in new list', 'multiaccount_import', { AccountList: [{ UserID: 7 }] }, 60015],
    ['face not a text', 'multiaccount_import', { AccountList: [{ UserID: 'a', FaceUrl: [] }] }, 40610],
    ['nothing to check', 'account_check', { CheckItem: [] }, 70206],
    ['nothing to delete', 'account_delete', {}, 70402],
  ])('%s', (_name, command, body, code) => {
    expect(read(command, body)).toBe(code);
  });

  const good = { Identifier: 'testaccount1', IdentifierType: 3, Password: 'pas122333' };
  test.each<[string, object, number]>([
    ['no identifier', { Identifier: undefined }, 70418],
    ['no password', { Password: undefined }, 70418],
    ['unknown type', { IdentifierType: 4 }, 70418],
    ['short password', { Password: '1234567' }, 70418],
    ['long password', { Password: '12345678901234567' }, 70418],
    ['3 characters', { Identifier: 'abc' }, 70419],
    ['25 characters', { Identifier: 'a'.repeat(25) }, 70419],
    ['digits alone', { Identifier: '123456' }, 70421],
    ['other letters', { Identifier: 'test-account' }, 70421],
    ['no phone', { IdentifierType: 1 }, 70421],
    ['no e-mail', { IdentifierType: 2 }, 70421],
  ])('register_account_v1: %s', (_name, change, code) => {
    expect(read('register_account_v1', { ...good, ...change })).toBe(code);
  });

  test('register_account_v1 accepts phone numbers, e-mail addresses and text in any case', () => {
    const register = (change: object) => read('register_account_v1', { ...good, ...change });
    expect(register({ Identifier: '86-13800000000', IdentifierType: 1 })).toHaveLength(1);
    expect(register({ Identifier: 'a@example.org', IdentifierType: 2 })).toHaveLength(1);
    expect(register({ Identifier: 'TestAccount_1' })).toMatchObject([{ userId: 'testaccount_1' }]);
  });

  test('countDuplicates counts repeated accounts', () => {
    const body = read('multiaccount_import', { Accounts: ['a', 'b', 'a', 'a'] });
    expect(typeof body !== 'number' && countDuplicates(body)).toBe(2);
  });
});
