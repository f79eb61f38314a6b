import { type AccountItem, AccountStore } from '../../../simulator/accounts/account-store.ts';
import { Backend } from '../../../simulator/accounts/backend.ts';
import { NO_FAULTS } from '../../../simulator/scenario/fault-selector.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../simulator/scenario/scenario.ts';

const NOW_MS = Date.UTC(2025, 3, 3);
const DAY_MS = 86_400_000;

function backendOf(settings: Partial<Settings> = {}): Backend {
  return new Backend(new AccountStore(), 'administrator', { ...DEFAULT_SETTINGS, ...settings });
}

function item(userId: string, profile: Partial<AccountItem> = {}): AccountItem {
  return { userId, nick: undefined, faceUrl: undefined, type: undefined, ...profile };
}

function batch(backend: Backend, items: readonly AccountItem[], nowMs = NOW_MS) {
  return backend.perform('multiaccount_import', items, NO_FAULTS, nowMs);
}

function one(backend: Backend, account: AccountItem, nowMs = NOW_MS): number {
  return backend.perform('account_import', [account], NO_FAULTS, nowMs).code;
}

describe('Backend, imports', () => {
  test('an import sets the fields that are sent and leaves the others alone', () => {
    const backend = backendOf();
    batch(backend, [item('a', { nick: 'old', faceUrl: 'face' })]);
    batch(backend, [item('a', { nick: 'new' })]);
    one(backend, item('a', { type: 1 }));
    one(backend, item('a'));
    expect(backend.store.accounts.get('a')).toEqual({
      userId: 'a',
      nick: 'new',
      faceUrl: 'face',
      type: 1,
      importedAt: '2025-04-03T00:00:00.000Z',
      lastImportedAt: '2025-04-03T00:00:00.000Z',
      imports: 4,
    });
    expect(backend.store.counts.profiles).toBe(1);
    expect(backend.store.counts.maxImports).toBe(4);
  });

  test('an empty text replaces the old value', () => {
    const backend = backendOf();
    one(backend, item('a', { nick: 'old' }));
    one(backend, item('a', { nick: '' }));
    expect(backend.store.accounts.get('a')?.nick).toBe('');
  });

  test('the last item wins when a call names a user twice', () => {
    const backend = backendOf();
    batch(backend, [item('a', { nick: 'first' }), item('a', { nick: 'last' })]);
    expect(backend.store.accounts.get('a')).toMatchObject({ nick: 'last', imports: 2 });
    expect(backend.store.counts.importedMoreThanOnce).toBe(1);
  });

  test.each<[string, AccountItem, number]>([
    ['32 bytes', item('a'.repeat(32)), 0],
    ['33 bytes', item('a'.repeat(33)), 70402],
    ['empty', item(''), 70402],
    ['not ASCII', item('用户'), 70402],
    ['a control character', item('a\tb'), 70402],
    ['the admin', item('administrator'), 70402],
    ['reserved', item('@TGS#1'), 70402],
    ['reserved for robots', item('@RBT#1'), 70402],
    ['a robot', item('@RBT#1', { type: 1 }), 0],
    ['another @', item('@me'), 0],
    ['nick of 500 bytes', item('a', { nick: 'é'.repeat(250) }), 0],
    ['nick of 502 bytes', item('a', { nick: 'é'.repeat(251) }), 40601],
    ['picture of 501 bytes', item('a', { faceUrl: 'x'.repeat(501) }), 40601],
    ['sensitive nick', item('a', { nick: 'so BADword' }), 40005],
    ['sensitive picture', item('a', { faceUrl: 'http://badword' }), 40005],
  ])('%s', (_name, account, code) => {
    const backend = backendOf({ sensitiveWords: ['BadWord'] });
    expect(one(backend, account)).toBe(code);
    expect(backend.store.accounts.has(account.userId)).toBe(code === 0);
  });

  test('the policy of each code decides whether a bad account fails alone or fails the call', () => {
    const items = [item('good'), item('x'.repeat(33)), item('long', { nick: 'n'.repeat(501) })];
    const lenient = backendOf();
    expect(batch(lenient, items)).toMatchObject({ code: 0, failAccounts: ['x'.repeat(33), 'long'] });
    expect([...lenient.store.accounts.keys()].toSorted()).toEqual(['good']);

    const strict = backendOf({ badAccountsInBatch: 'fail-call' });
    expect(batch(strict, items).code).toBe(70402);
    expect(strict.store.accounts.size).toBe(0);

    const mixed = backendOf({
      badAccountsInBatch: { default: 'fail-accounts', byCode: { 40601: 'fail-call' } },
    });
    expect(batch(mixed, items.slice(0, 2))).toMatchObject({ code: 0, failAccounts: ['x'.repeat(33)] });
    expect(batch(mixed, items).code).toBe(40601);
  });

  test('the limit of the plan stops only new accounts', () => {
    const backend = backendOf({ maxAccounts: 2 });
    expect(batch(backend, [item('a'), item('a'), item('b'), item('c')])).toMatchObject({
      failAccounts: ['c'],
    });
    expect(one(backend, item('d'))).toBe(70398);
    expect(one(backend, item('a', { nick: 'x' }))).toBe(0);
    backend.settings = { ...DEFAULT_SETTINGS, maxAccounts: null };
    expect(one(backend, item('d'))).toBe(0);
  });

  test('an empty FailAccounts has three shapes', () => {
    const shapes = (emptyFailAccounts: Settings['emptyFailAccounts']) => {
      const backend = backendOf({ emptyFailAccounts });
      return [1, 2, 3].map(() => batch(backend, [item('a')]).failAccounts);
    };
    expect(shapes('empty')).toEqual([[], [], []]);
    expect(shapes('missing')).toEqual([undefined, undefined, undefined]);
    expect(shapes('null')).toEqual([null, null, null]);
    expect(shapes('rotating')).toEqual([[], undefined, null]);
  });
});

describe('Backend, other commands', () => {
  test('a deleted account cannot be imported for three months', () => {
    const backend = backendOf();
    one(backend, item('a', { nick: 'n' }));
    const deleted = backend.perform('account_delete', [item('a'), item('b')], NO_FAULTS, NOW_MS);
    expect(deleted.resultItems).toMatchObject([
      { UserID: 'a', ResultCode: 0, ResultInfo: '' },
      { UserID: 'b', ResultCode: 70107 },
    ]);
    expect(backend.store.counts.profiles).toBe(0);
    expect(one(backend, item('a'), NOW_MS + 90 * DAY_MS)).toBe(70399);
    expect(batch(backend, [item('a'), item('c')], NOW_MS + 90 * DAY_MS).failAccounts).toEqual(['a']);
    expect(one(backend, item('a'), Date.UTC(2025, 6, 3))).toBe(0);
    expect(backend.store.accounts.get('a')).toMatchObject({ nick: undefined, imports: 1 });
  });

  test('account_check says which accounts are imported', () => {
    const backend = backendOf();
    one(backend, item('a'));
    const check = backend.perform('account_check', [item('a'), item('b'), item('')], NO_FAULTS, NOW_MS);
    expect(check.resultItems).toMatchObject([
      { UserID: 'a', ResultCode: 0, ResultInfo: '', AccountStatus: 'Imported' },
      { UserID: 'b', ResultCode: 0, AccountStatus: 'NotImported' },
      { UserID: '', ResultCode: 70402 },
    ]);
  });

  test('register_account_v1 answers 70402 for an account that exists', () => {
    const backend = backendOf();
    const register = () => backend.perform('register_account_v1', [item('test1')], NO_FAULTS, NOW_MS);
    expect(register().code).toBe(0);
    expect(register()).toEqual({ code: 70402, info: 'the account exists already' });
    expect(backend.store.accounts.get('test1')?.imports).toBe(1);
  });
});
