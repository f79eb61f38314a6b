import { documentedQuotas, QuotaLimiter, readQuotas } from '../../../simulator/traffic/quotas.ts';

function gateOf(quotas: object): QuotaLimiter {
  return new QuotaLimiter({ ...documentedQuotas('current'), ...readQuotas(quotas, 'quotas') });
}

describe('QuotaLimiter', () => {
  test('refuses a call over the quota of any 1000 ms', () => {
    const limiter = gateOf({ account_check: 3 });
    expect([0, 400, 999].map((at) => limiter.admit('account_check', at))).toEqual([0, 0, 0]);
    expect(limiter.admit('account_check', 999.9)).toBe(60007);
    expect(limiter.admit('account_check', 1000)).toBe(0);
    expect(limiter.admit('account_check', 1399)).toBe(60007);
    expect(limiter.admit('account_check', 1400)).toBe(0);
  });

  test('refused calls do not count in the window', () => {
    const limiter = gateOf({ account_check: 1 });
    expect(limiter.admit('account_check', 0)).toBe(0);
    expect(limiter.admit('account_check', 600)).toBe(60007);
    expect(limiter.admit('account_check', 1100)).toBe(0);
  });

  test('each command has its own window, and a call over the total gets 60011', () => {
    const limiter = gateOf({ account_check: 1, total: 2 });
    expect(limiter.admit('account_check', 0)).toBe(0);
    expect(limiter.admit('account_check', 1)).toBe(60007);
    expect(limiter.admit('account_delete', 2)).toBe(0);
    expect(limiter.admit('account_delete', 3)).toBe(60011);
  });

  test('a changed quota counts the calls of the last second', () => {
    const limiter = gateOf({});
    for (let i = 0; i < 50; i += 1) expect(limiter.admit('account_import', i)).toBe(0);
    limiter.changeQuotas({ account_import: 50 });
    expect(limiter.admit('account_import', 60)).toBe(60007);
    limiter.changeQuotas({ account_import: null });
    expect(limiter.admit('account_import', 61)).toBe(0);
  });

  test('documentedQuotas knows the quotas of both forms', () => {
    expect(documentedQuotas('current')).toEqual({
      multiaccount_import: 100,
      account_import: 200,
      register_account_v1: 1000,
      account_check: 100,
      account_delete: 100,
      total: null,
    });
    expect(documentedQuotas('legacy').account_import).toBe(100);
  });

  test('readQuotas refuses an invalid quota and names it', () => {
    expect(() => readQuotas({ account_imports: 1 }, 'quotas')).toThrow(/unknown key "account_imports"/);
    expect(() => readQuotas({ total: -1 }, 'quotas')).toThrow(/quotas\.total must be a whole number/);
    expect(() => readQuotas([], 'quotas')).toThrow(/quotas must be a JSON object/);
  });
});
