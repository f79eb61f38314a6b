/**
 * What is often given in the place of a credential. Each sentence says what to do and quotes nothing. Without
 * it the API answers 70009 or 70003, which names none of these mistakes.
 */

/** As the provider's console shows a key. Nothing documents that all keys look so. */
const KEY = /^[0-9a-f]{64}$/i;
/** A UserSig is deflated JSON in base64 of its own alphabet (user guide, generating UserSig). */
const USER_SIG = /^eJ[\w*-]{60,}$/;

/** Why a text is not the app's key, as a clause; undefined when it may be one. Pure. */
export function secretKeyFault(text: string): string | undefined {
  if (USER_SIG.test(text)) return 'it is a UserSig, not the key: give it as IMSYNC_USER_SIG (or its _FILE)';
  return wrappingFault(text);
}

/** Why a text is not a UserSig, as a clause; undefined when it may be one. Pure. */
export function userSigFault(text: string): string | undefined {
  if (KEY.test(text))
    return "it is the app's key, not a UserSig: give it as IMSYNC_SDK_SECRET_KEY (or its _FILE)";
  return wrappingFault(text);
}

/** Whether a key looks as the console shows it. */
export function looksLikeKey(text: string): boolean {
  return KEY.test(text);
}

function wrappingFault(text: string): string | undefined {
  if (/^(?:export\s+)?[A-Za-z_]\w*\s*(?:=|:\s)\s*[^=\s]/.test(text))
    return 'it begins with a name, as in NAME=value: leave only the value';
  if (/^["'`]|["'`]$/.test(text)) return 'it is in quotes: leave them out';
  if (/[,;]$/.test(text)) return 'it ends in a comma or semicolon: leave it out';
  if (/^[{[]/.test(text)) return 'it is a text of JSON: leave only the value';
  if (/^-----BEGIN/.test(text)) return 'it is a key or certificate of another kind (PEM)';
  return undefined;
}
