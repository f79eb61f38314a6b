/** Hides secrets in texts that come from elsewhere: an answer may repeat what it was sent. Pure. */

/** Parts of the addresses of webhooks and collectors that are no secret, and that would be missed in a sentence. */
const PLAIN = /^(?:services|robot|send|open-apis|bot|hook|cgi-bin|webhook|traces|v\d)$/i;
/** A shorter secret is hidden where it is a word of its own: inside of other words it stands by chance. */
const ANYWHERE_CHARS = 6;

/** What may be a token in an address: user, password, segments of the path, values of the query; or all of a text that is none. */
export function secretsInAddress(address: string): string[] {
  if (!URL.canParse(address)) return [address];
  const { username, password, pathname, search, searchParams, hash } = new URL(address);
  const segments = pathname.split('/').filter((segment) => !PLAIN.test(segment));
  const values = search
    .slice(1)
    .split('&')
    .map((pair) => pair.replace(/^[^=]*=/, ''));
  return [username, password, ...segments, ...values, ...searchParams.values(), hash.slice(1)];
}

/**
 * The text with `***` for each secret, in whatever letter case, plain or as an address or JSON writes it. It must
 * not have been cut before: half a secret is not found.
 */
export function hide(text: string, secrets: readonly string[]): string {
  const forms = [...new Set(secrets.flatMap(formsOf))].filter((form) => form !== '');
  // The longest first: it may hold a shorter one.
  forms.sort((a, b) => b.length - a.length);
  return forms.reduce((clean, form) => clean.replace(patternOf(form), '***'), text);
}

function formsOf(secret: string): string[] {
  const plain = decoded(secret);
  return [...new Set([secret, plain])].flatMap((one) => [
    one,
    encodeURIComponent(one.toWellFormed()),
    JSON.stringify(one).slice(1, -1),
  ]);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function patternOf(secret: string): RegExp {
  const literal = secret.replace(/\W/g, '\\$&');
  return new RegExp(secret.length < ANYWHERE_CHARS ? `(?<!\\w)${literal}(?!\\w)` : literal, 'gi');
}
