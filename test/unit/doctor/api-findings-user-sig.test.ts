import { userSigFinding } from '../../../src/doctor/api-findings.ts';
import { TEST_APP, userSigForTest } from '../../support/simulator.ts';

const NOW_MS = 1_700_000_000_000;
const HOUR = 3_600;

/** The finding about a UserSig that was made an hour ago. */
function findingOf(parts: Parameters<typeof userSigForTest>[0]) {
  return userSigFinding(userSigForTest({ time: NOW_MS / 1_000 - HOUR, ...parts }), TEST_APP, NOW_MS);
}

describe('userSigFinding', () => {
  test('a key needs no renewal', () => {
    expect(userSigFinding(undefined, TEST_APP, NOW_MS).state).toBe('ok');
  });

  test.each<[string, Parameters<typeof userSigForTest>[0], string, RegExp]>([
    ['valid for long enough', { expire: 73 * HOUR }, 'ok', /valid for another 3 days/],
    ['about to expire', { expire: 3 * HOUR }, 'wrong', /valid for another 2 h/],
    ['expired', { expire: HOUR / 2 }, 'wrong', /expired 30 min ago/],
    [
      'made for another app',
      { sdkAppId: 1400000001 },
      'wrong',
      /made for SDKAppID 1400000001, not 1400000000/,
    ],
    ['made for another user', { identifier: 'somebody' }, 'wrong', /another user than IMSYNC_ADMIN_ID/],
  ])('a UserSig that is %s', (_name, parts, state, text) => {
    const finding = findingOf(parts);
    expect(finding).toMatchObject({ state, text: expect.stringMatching(text) });
    expect(finding.todo !== undefined).toBe(state === 'wrong');
  });

  test('the finding does not repeat a UserSig that cannot be read', () => {
    const finding = userSigFinding('not-a-user-sig', TEST_APP, NOW_MS);
    expect(finding.state).toBe('wrong');
    expect(JSON.stringify(finding)).not.toContain('not-a-user-sig');
  });
});
