import { readUserSig } from '../im/user-sig.ts';
import { duration, type Finding, ok, wrong } from './finding.ts';

/** A day or more is recommended (user guide, generating UserSig). */
const LEAST_LEFT_MS = 86_400_000;
const NAME = 'user-sig';
const RENEW =
  'Make a new UserSig for the admin, and give it by IMSYNC_USER_SIG_FILE: that file is read again before each probe.';

/** How long a UserSig made elsewhere still holds; one that is signed here renews itself. */
export function userSigFinding(
  given: string | undefined,
  app: { readonly sdkAppId: number; readonly adminId: string },
  nowMs: number,
): Finding {
  if (given === undefined) return ok(NAME, 'UserSigs are signed here with the key, and renewed in time');
  const claims = readUserSig(given);
  if (claims === undefined) return wrong(NAME, 'the given UserSig cannot be read', RENEW);
  const { sdkAppId, identifier, issuedAtSeconds, expireSeconds } = claims;
  if (sdkAppId !== app.sdkAppId) {
    const text = `the given UserSig was made for SDKAppID ${sdkAppId}, not ${app.sdkAppId}`;
    return wrong(NAME, text, 'Check IMSYNC_SDK_APP_ID, or make a UserSig for this app.');
  }
  if (identifier !== app.adminId) {
    const text = `the given UserSig was made for another user than IMSYNC_ADMIN_ID, ${app.adminId}`;
    return wrong(NAME, text, 'Make one for the admin, or set IMSYNC_ADMIN_ID to the one it was made for.');
  }
  const leftMs = 1_000 * (issuedAtSeconds + expireSeconds) - nowMs;
  if (leftMs <= 0) return wrong(NAME, `the given UserSig expired ${duration(-leftMs)} ago`, RENEW);
  const text = `the given UserSig holds for ${duration(leftMs)} more`;
  return leftMs < LEAST_LEFT_MS ? wrong(NAME, text, RENEW) : ok(NAME, text);
}
