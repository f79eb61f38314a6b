import { documentedQuotas, QuotaGate, readQuotas } from '../../../src/simulator/traffic/quotas.ts';

function gateOf(quotas: object, refusedCallsCount = false): QuotaGate {
  return new QuotaGate(
    { ...documentedQuotas('current'), ...readQuotas(quotas, 'quotas') },
    refusedCallsCount,
  );
}

describe('QuotaGate', () => {
  test('refuses the call that would be one too many within any 1000 ms', () => {
    const gate = gateOf({ account_check: 3 });
    expect([0, 400, 999].map((at) => gate.admit('account_check', at))).toEqual([0, 0, 0]);
    expect(gate.admit('account_check', 999.9)).toBe(60007);
    expect(gate.admit('account_check', 1000)).toBe(0);
    expect(gate.admit('account_check', 1399)).toBe(60007);
    expect(gate.admit('account_check', 1400)).toBe(0);
  });

  test('refused calls take no place, unless they are told to', () => {
    const lenient = gateOf({ account_check: 1 });
    const strict = gateOf({ account_check: 1 }, true);
    for (const gate of [lenient, strict]) {
      expect(gate.admit('account_check', 0)).toBe(0);
      expect(gate.admit('account_check', 600)).toBe(60007);
    }
    expect(lenient.admit('account_check', 1100)).toBe(0);
    expect(strict.admit('account_check', 1100)).toBe(60007);
  });

  test('commands have windows of their own; the total answers 60011', () => {
    const gate = gateOf({ account_check: 1, total: 2 });
    expect(gate.admit('account_check', 0)).toBe(0);
    expect(gate.admit('account_check', 1)).toBe(60007);
    expect(gate.admit('account_delete', 2)).toBe(0);
    expect(gate.admit('account_delete', 3)).toBe(60011);
  });

  test('a change at run time counts the calls of the last second', () => {
    const gate = gateOf({});
    for (let i = 0; i < 50; i += 1) expect(gate.admit('account_import', i)).toBe(0);
    gate.change({ account_import: 50 });
    expect(gate.admit('account_import', 60)).toBe(60007);
    gate.change({ account_import: null });
    expect(gate.admit('account_import', 61)).toBe(0);
  });

  test('knows the documented quotas of both forms', () => {
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

  test('refuses quotas that make no sense, by name', () => {
    expect(() => readQuotas({ account_imports: 1 }, 'quotas')).toThrow(/unknown key "account_imports"/);
    expect(() => readQuotas({ total: -1 }, 'quotas')).toThrow(/quotas\.total must be a whole number/);
    expect(() => readQuotas([], 'quotas')).toThrow(/quotas must be a JSON object/);
  });
});
