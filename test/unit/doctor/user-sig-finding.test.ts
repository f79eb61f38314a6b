import { userSigFinding } from '../../../src/doctor/user-sig-finding.ts';
import { TEST_APP, userSigForTest } from '../../support/simulator.ts';

const NOW_MS = 1_700_000_000_000;
const HOUR = 3_600;

/** Of a UserSig made an hour ago. */
function findingOf(parts: Parameters<typeof userSigForTest>[0]) {
  return userSigFinding(userSigForTest({ time: NOW_MS / 1_000 - HOUR, ...parts }), TEST_APP, NOW_MS);
}

describe('userSigFinding', () => {
  test('a key needs no looking after', () => {
    expect(userSigFinding(undefined, TEST_APP, NOW_MS).state).toBe('ok');
  });

  test.each<[string, Parameters<typeof userSigForTest>[0], string, RegExp]>([
    ['long enough', { expire: 73 * HOUR }, 'ok', /holds for 3 days more/],
    ['about to expire', { expire: 3 * HOUR }, 'wrong', /holds for 2 h more/],
    ['expired', { expire: HOUR / 2 }, 'wrong', /expired 30 min ago/],
    ['of another app', { sdkAppId: 1400000001 }, 'wrong', /made for SDKAppID 1400000001, not 1400000000/],
    ['of another user', { identifier: 'somebody' }, 'wrong', /another user than IMSYNC_ADMIN_ID/],
  ])('one that is %s', (_name, parts, state, text) => {
    const finding = findingOf(parts);
    expect(finding).toMatchObject({ state, text: expect.stringMatching(text) });
    expect(finding.todo !== undefined).toBe(state === 'wrong');
  });

  test('one that cannot be read is not repeated', () => {
    const finding = userSigFinding('not-a-user-sig', TEST_APP, NOW_MS);
    expect(finding.state).toBe('wrong');
    expect(JSON.stringify(finding)).not.toContain('not-a-user-sig');
  });
});
