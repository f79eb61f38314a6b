import type { UserCreated } from '../../../src/event/event.ts';
import { decodeCheck, decodeResults, encodeCheck, encodeImport } from '../../../src/im/bodies.ts';
import { COMMANDS, documentedPerSecond } from '../../../src/im/commands.ts';

const anna: UserCreated = { userId: 'anna', nick: 'Anna', faceUrl: 'http://www.qq.com', type: 1 };
const bo: UserCreated = { userId: 'bo' };

it('encodes the batch in the new form', () => {
  expect(JSON.parse(encodeImport('multiaccount_import', 'current', [anna, bo]))).toEqual({
    AccountList: [{ UserID: 'anna', Nick: 'Anna', FaceUrl: 'http://www.qq.com' }, { UserID: 'bo' }],
  });
});

it('encodes the batch in the old form without profiles', () => {
  expect(JSON.parse(encodeImport('multiaccount_import', 'legacy', [anna, bo]))).toEqual({
    Accounts: ['anna', 'bo'],
  });
});

it('encodes the single call in both forms', () => {
  expect(JSON.parse(encodeImport('account_import', 'current', [anna]))).toEqual({
    UserID: 'anna',
    Nick: 'Anna',
    FaceUrl: 'http://www.qq.com',
  });
  expect(JSON.parse(encodeImport('account_import', 'legacy', [anna]))).toEqual({
    Identifier: 'anna',
    Nick: 'Anna',
    FaceUrl: 'http://www.qq.com',
    Type: 1,
  });
  expect(JSON.parse(encodeImport('account_import', 'legacy', [{ userId: 'bo', type: 0 }]))).toEqual({
    Identifier: 'bo',
  });
});

it('encodes the call of hosted mode', () => {
  const account: UserCreated = { userId: 'testaccount1', identifierType: 3, password: 'pas122333' };
  expect(JSON.parse(encodeImport('register_account_v1', 'hosted', [account]))).toEqual({
    Identifier: 'testaccount1',
    IdentifierType: 3,
    Password: 'pas122333',
  });
});

it('encodes a check', () => {
  expect(JSON.parse(encodeCheck(['a', 'b']))).toEqual({ CheckItem: [{ UserID: 'a' }, { UserID: 'b' }] });
});

it('reads the answer of a check and leaves out malformed items', () => {
  const body = {
    ResultItem: [
      { UserID: 'a', ResultCode: 0, ResultInfo: '', AccountStatus: 'Imported' },
      { UserID: 'b', ResultCode: 0, ResultInfo: '', AccountStatus: 'NotImported' },
      { UserID: 'c', ResultCode: 70107, ResultInfo: 'not\nthere', AccountStatus: 'NotImported' },
      { UserID: 'd', ResultCode: 0 },
      { UserID: 5, ResultCode: 0, AccountStatus: 'Imported' },
      { UserID: 'e' },
      null,
      'junk',
    ],
  };
  expect([...decodeCheck(body)]).toEqual([
    ['a', true],
    ['b', false],
  ]);
  expect(decodeResults(body).get('c')).toEqual({
    resultCode: 70107,
    resultInfo: 'not there',
    imported: false,
  });
  for (const ResultItem of [undefined, null, {}, 'x', 7]) expect(decodeCheck({ ResultItem }).size).toBe(0);
});

it('knows the documented rates', () => {
  expect(documentedPerSecond('current', 'multiaccount_import')).toBe(100);
  expect(documentedPerSecond('current', 'account_import')).toBe(200);
  expect(documentedPerSecond('legacy', 'account_import')).toBe(100);
  expect(documentedPerSecond('hosted', 'register_account_v1')).toBe(1000);
  expect(() => documentedPerSecond('hosted', 'multiaccount_import')).toThrow(RangeError);
  const ofHosted = Object.entries(COMMANDS).filter(([, { perSecond }]) => perSecond.hosted !== undefined);
  expect(ofHosted.map(([name]) => name)).toEqual(['account_check', 'account_delete', 'register_account_v1']);
  expect(COMMANDS.register_account_v1.service).toBe('registration_service');
});
