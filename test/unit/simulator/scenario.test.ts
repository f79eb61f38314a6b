import { readScenario } from '../../../simulator/scenario/scenario.ts';

describe('readScenario', () => {
  test('accepts every documented part unchanged', () => {
    const scenario = {
      latencyMs: [20, 80],
      workAt: 'at-arrival',
      badAccountsInBatch: { default: 'fail-accounts', byCode: { '70402': 'fail-call' } },
      emptyFailAccounts: 'rotating',
      maxAccounts: null,
      sensitiveWords: ['bad'],
      rules: [
        {
          name: 'all conditions',
          match: {
            command: ['account_import', 'multiaccount_import'],
            userIds: ['a'],
            userIdPattern: '^u[0-9]+$',
            rate: 0.5,
            ratePerAccount: 0.1,
            sticky: true,
            fromMs: 0,
            untilMs: 1000,
            times: 3,
            timesPerAccount: 1,
          },
          action: { accountCode: 40005, errorInfo: 'because', latencyMs: [0, 1] },
        },
        { action: { failAccounts: true, singleCode: 70500, strangers: ['x'] } },
        { action: { httpStatus: 429, retryAfterSeconds: 2, work: 'at-answer' } },
        { action: { garbage: true } },
        { action: { truncate: true } },
        { action: { hangMs: -1 } },
        { action: { reset: 'after' } },
        { action: { errorCode: 99999 } },
      ],
    };
    expect(readScenario(scenario)).toEqual(scenario);
    expect(readScenario({})).toEqual({});
  });

  const rule = (action: unknown, match?: unknown) => ({ rules: [{ action, ...(match ? { match } : {}) }] });
  const fine = { errorCode: 70500 };
  test.each<[unknown, RegExp]>([
    [[], /^scenario must be a JSON object\.$/],
    [{ rule: [] }, /^scenario has the unknown key "rule"; known keys: /],
    [{ rules: {} }, /^rules must be a list\.$/],
    [{ latencyMs: [5, 1] }, /^scenario\.latencyMs must be \[min, max\]/],
    [{ latencyMs: 5 }, /^scenario\.latencyMs must be a list/],
    [
      { badAccountsInBatch: 'maybe' },
      /^scenario\.badAccountsInBatch must be one of: fail-call, fail-accounts\.$/,
    ],
    [
      { badAccountsInBatch: { default: 'fail-call', byCode: { x: 'fail-call' } } },
      /"x", which is no error code/,
    ],
    [{ rules: [{}] }, /^rules\[0\]\.action must be a JSON object\.$/],
    [rule({}), /^rules\[0\]\.action needs one of: errorCode, /],
    [rule({ errorCode: 0 }), /errorCode must be a whole number from 1/],
    [rule({ errorCode: 1, reset: 'after' }), /has both errorCode and reset; use one/],
    [rule({ reset: 'now' }), /reset must be one of: before, after/],
    [rule({ reset: 'after', work: 'never' }), /work needs errorCode or httpStatus or /],
    [rule({ retryAfterSeconds: 1, errorCode: 1 }), /retryAfterSeconds needs httpStatus beside it/],
    [rule({ truncate: false }), /truncate can only be true/],
    [rule({ httpStatus: 200 }), /httpStatus must be a whole number from 300 to 599/],
    [rule(fine, { command: 'acount_import' }), /match\.command has the unknown command "acount_import"/],
    [rule(fine, { userIdPattern: '(' }), /userIdPattern is not a valid regular expression/],
    [rule(fine, { userIdPattern: 'a'.repeat(201) }), /userIdPattern must be a text of 1 to 200 characters/],
    [rule(fine, { rate: 2 }), /rate must be a number from 0 to 1/],
    [rule(fine, { sticky: true }), /sticky needs rules\[0\]\.match\.ratePerAccount/],
    [rule(fine, { fromMs: 10, untilMs: 10 }), /untilMs must be above/],
    [rule(fine, { times: 0 }), /times must be a whole number from 1/],
    [rule(fine, { user: ['a'] }), /match has the unknown key "user"/],
  ])('%j is refused', (scenario, message) => {
    expect(() => readScenario(scenario)).toThrow(message);
  });
});
