import { MAX_PROFILE_BYTES } from '../../event/fields.ts';
import type { ApiForm } from '../../im/commands.ts';
import type { Verdict } from '../../im/verdicts.ts';
import type { DecisionPolicy, Refused } from './decision.ts';
import { newestOf, type PendingUser } from './pending-user.ts';

/** What the API would answer to a profile that is too long (API reference, account_import): known without a call. */
export const TOO_LONG: Verdict = {
  class: 'body',
  errorCode: 40601,
  errorInfo: `not sent: nick or faceUrl takes more than ${MAX_PROFILE_BYTES} bytes`,
  httpStatus: 0,
  outcomeKnown: true,
  meaning: 'the value of a profile field is too long',
  profileFault: true,
  signAnew: false,
};

/**
 * Keeps profiles that the API is sure to refuse out of a call, so that they cost the others nothing: an older
 * event takes their place, or the account goes bare, or (if so configured) the event ends here.
 */
export function preflight(
  users: readonly PendingUser[],
  onProfileFault: DecisionPolicy['onProfileFault'],
  form: ApiForm = 'current',
): { users: PendingUser[]; refused: Refused[] } {
  // register_account_v1 has no profile: what is not sent cannot be refused.
  if (form === 'hosted') return { users: [...users], refused: [] };
  const passed: PendingUser[] = [];
  const refused: Refused[] = [];
  for (const user of users) {
    let left: PendingUser = user;
    while (left.bare === null && newestOf(left).tooLong.length > 0) {
      const [entry, ...older] = left.events;
      if (entry === undefined) break;
      if (older.length === 0 && onProfileFault === 'import-bare') {
        left = { ...left, bare: TOO_LONG };
        break;
      }
      refused.push({ user: left, entry, reason: 'profile', verdict: TOO_LONG });
      left = { ...left, events: older };
      if (older.length === 0) break;
    }
    if (left.events.length > 0) passed.push(left);
  }
  return { users: passed, refused };
}
