import { isKnownField } from '../event/event.ts';
import { oneLine, withoutUsers } from '../im/redact.ts';
import type { StoredLetter } from '../ledger/letters/dead-letters.ts';
import type { OpenCall, Suspect } from '../ledger/open-calls.ts';
import type { UserReport } from '../tasks/find-user.ts';

/** What stands where a user or a profile is not shown. */
export const MASK = '***';

/** Fields of an event that tell nothing of a user, and what they look like: a producer may have mixed them up. */
const PLAIN_FIELDS: ReadonlyMap<string, RegExp> = new Map([
  ['type', /^\d$/],
  ['occurredAt', /^\d{4}(?:[\dT:.+Z-]{6,26})?$/],
  ['traceparent', /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/],
  ['identifierType', /^\d{1,2}$/],
]);

/**
 * A letter for somebody who may not see users: neither the user nor a field of the profile, nor either of them
 * within a text. What stands in quotes in a text is left out, too: the validation quotes what it refuses.
 */
export function maskLetter<T extends StoredLetter>(letter: T): T {
  const { event, userId, errorInfo } = letter;
  return {
    ...letter,
    userId: MASK,
    event: maskEvent(event),
    errorInfo: maskText(errorInfo, [userId, ...Object.values(event)]),
  };
}

function maskEvent(event: Readonly<Record<string, string>>): Record<string, string> {
  const masked = Object.entries(event).map(([name, value]): [string, string] => {
    if (PLAIN_FIELDS.get(name)?.test(value) === true) return [name, value];
    // The name of a field that we do not know may be a user's, too.
    return [isKnownField(name) ? name : MASK, MASK];
  });
  return Object.fromEntries(masked);
}

/** A text of the API without these values, whole or cut off at its end, and without what it quotes. */
export function maskText(text: string, values: readonly string[]): string {
  const known = [...new Set(values.flatMap((value) => [value, oneLine(value)]))].filter(
    (value) => value !== '',
  );
  // A value with blanks is no single word, nor is one of Chinese, which stands without blanks around it.
  const foreign = known.filter((value) => /[^!-~]/.test(value)).sort((a, b) => b.length - a.length);
  const plain = foreign.reduce((left, value) => left.replaceAll(value, MASK), text);
  const clean = withoutUsers(plain, known).replaceAll('(user)', MASK);
  return withoutCutEnd(clean, known).replace(/"(?:[^"\\]|\\.)*"?/g, `"${MASK}"`);
}

/** Texts are cut to 300 characters, perhaps within a value: then its beginning stands at the end. */
function withoutCutEnd(text: string, values: readonly string[]): string {
  for (const value of values) {
    for (let length = Math.min(value.length - 1, text.length); length >= 3; length--)
      if (text.endsWith(value.slice(0, length))) return text.slice(0, -length) + MASK;
  }
  return text;
}

export function maskCall(call: OpenCall): OpenCall {
  return { ...call, suspects: call.suspects.map(maskSuspect) };
}

export function maskSuspect<T extends Pick<Suspect, 'userId' | 'errorInfo'>>(suspect: T): T {
  return { ...suspect, userId: MASK, errorInfo: maskText(suspect.errorInfo, [suspect.userId]) };
}

/** Who asks for a user names them, so the ID stays. The profile does not. */
export function maskUser<T extends UserReport>(report: T): T {
  const { letters, call, api, userId } = report;
  const hide = (text: string): string => maskText(text, [userId]);
  const suspicion = call?.suspicion && { ...call.suspicion, errorInfo: hide(call.suspicion.errorInfo) };
  return {
    ...report,
    letters: letters.map((letter) => ({ ...maskLetter(letter), userId })),
    call: call && { ...call, suspicion: suspicion ?? null },
    api: api?.kind === 'refused' ? { ...api, errorInfo: hide(api.errorInfo) } : api,
  };
}
