import { isAbsent, isKnownField, KNOWN_FIELDS } from '../event/event.ts';
import type { UserInput } from '../event/fields.ts';
import { cut } from '../event/text.ts';
import { kindOf } from '../event/user-id.ts';
import { MAX_USER_BYTES } from './body.ts';

/** A user of a body: as the producer takes it, or why it is none. */
export interface ReadUser {
  /** Its ID for the answer, as it came, cut to 200 characters; undefined when there is none or it is no text. */
  readonly userId: string | undefined;
  readonly user: UserInput | undefined;
  /** [] when there is a user; whether that one holds up is the producer's to say. */
  readonly problems: readonly string[];
  /** False when the text is not JSON at all. */
  readonly isJson: boolean;
}

/** Names of ours as people misspell them: without case, blanks, dashes and underscores. */
const plain = (name: string): string => name.toLowerCase().replace(/[\s_-]/g, '');
const bySpelling: ReadonlyMap<string, string> = new Map(KNOWN_FIELDS.map((name) => [plain(name), name]));

/**
 * Reads one user: a flat object with the field names of an event. Further fields travel along as they do in the
 * stream, but a known name that is misspelt is refused: `face_url` would cost the picture without a word.
 * `traceparent` is the request's, for users that have none of their own. Never throws.
 */
export function readUser(text: Buffer, traceparent?: string): ReadUser {
  const refused = (problem: string, isJson = true): ReadUser => ({
    userId: undefined,
    user: undefined,
    problems: [problem],
    isJson,
  });
  if (text.length > MAX_USER_BYTES) {
    return refused(`the user takes ${text.length} bytes; ${MAX_USER_BYTES} is the most`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text.toString('utf8'));
  } catch {
    return refused('this is not valid JSON', false);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refused(`a user must be a JSON object with a userId, not ${kindOf(value)}`);
  }
  const fields = Object.entries(value);
  const problems = fields.flatMap(([name]) => {
    const right = bySpelling.get(plain(name));
    return right === undefined || right === name
      ? []
      : [`the field ${JSON.stringify(cut(name, 40))} must be written ${right}`];
  });
  const known = Object.fromEntries(fields.filter(([name]) => isKnownField(name)));
  const further = fields.filter(([name]) => !isKnownField(name));
  const shownId = typeof known.userId === 'string' ? cut(known.userId, 200) : undefined;
  if (problems.length > 0) return { userId: shownId, user: undefined, problems, isJson: true };
  const user = {
    ...known,
    ...(isAbsent(known.traceparent) && traceparent !== undefined && { traceparent }),
    ...(further.length > 0 && { extra: Object.fromEntries(further) }),
  };
  // The producer judges it: nothing is certain of its values yet.
  return { userId: shownId, user: user as unknown as UserInput, problems: [], isJson: true };
}
