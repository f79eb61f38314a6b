/** Taking a body of the HTTP intake apart, user by user, without trusting it. Pure. */

/** Most bytes of a body: 10,000 users of 800 bytes. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Most users of a body. */
export const MAX_USERS = 10_000;
/** Most bytes of one user as JSON: all that an event can carry fits. */
export const MAX_USER_BYTES = 512 * 1024;
/** A user is flat; whatever is nested deeper than this means harm. */
const MAX_DEPTH = 32;

export type BodyForm = 'json' | 'ndjson';

/** A body of which nothing can be used; the message says why. */
export class BodyError extends Error {
  override readonly name = 'BodyError';
  readonly kind: 'malformed' | 'too-many-users';
  constructor(kind: BodyError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * The form that a content type names, or the end of a sentence that says why it cannot be read. Parameters other
 * than a character set are passed over.
 */
export function bodyFormOf(
  contentType: string | undefined,
): { readonly form: BodyForm } | { readonly problem: string } {
  const [type = '', ...parameters] = (contentType ?? '').toLowerCase().split(';');
  const charset = parameters.map((one) => /^\s*charset\s*=\s*"?([^"\s]*)/.exec(one)?.[1]).find(Boolean);
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
    return { problem: `the character set is ${charset.slice(0, 40)}; it must be utf-8` };
  }
  switch (type.trim()) {
    case 'application/json':
      return { form: 'json' };
    case 'application/x-ndjson':
    case 'application/ndjson':
      return { form: 'ndjson' };
    case '':
      return { problem: 'there is no content type' };
    default:
      return { problem: `the content type is ${type.trim().slice(0, 80)}` };
  }
}

/**
 * The JSON texts of the users of a body, in order: a body of form `json` is one object or a list; of `ndjson` one
 * object a line, blank lines aside. Only cuts: whether a text is JSON is for its reader, and a list is one exactly
 * if all its texts are. Throws BodyError when there is no way to cut, at the user that is one too many, or when there
 * is none. One user at a time, so that a large body can be read in several turns of the event loop.
 */
export function* userTexts(body: Buffer, form: BodyForm): Generator<Buffer> {
  const from = body.subarray(0, 3).equals(BOM) ? 3 : 0;
  let users = 0;
  for (const text of form === 'ndjson' ? lines(body, from) : members(body, from)) {
    if (++users > MAX_USERS)
      throw new BodyError('too-many-users', `The body holds more than ${MAX_USERS} users.`);
    yield text;
  }
  if (users === 0) throw new BodyError('malformed', 'The body holds no user.');
}

const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const NEWLINE = 0x0a;
const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

function* lines(body: Buffer, from: number): Generator<Buffer> {
  let at = from;
  while (at < body.length) {
    const newline = body.indexOf(NEWLINE, at);
    const end = newline < 0 ? body.length : newline;
    if (!isBlank(body, at, end)) yield body.subarray(at, end);
    at = end + 1;
  }
}

/** The members of a list, or the one object. */
function* members(body: Buffer, from: number): Generator<Buffer> {
  const start = afterBlanks(body, from);
  if (start === body.length) return;
  const isList = body[start] === OPEN_LIST;
  if (!isList && body[start] !== OPEN_OBJECT) {
    throw new BodyError('malformed', 'The body is neither a JSON object nor a JSON list of objects.');
  }
  const ownDepth = isList ? 1 : 0;
  let depth = 0;
  let inText = false;
  let memberFrom = isList ? start + 1 : start;
  for (let at = start; at < body.length; at++) {
    const byte = body[at];
    if (inText) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inText = false;
      continue;
    }
    if (byte === QUOTE) inText = true;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      if (++depth > MAX_DEPTH) {
        throw new BodyError(
          'malformed',
          `The body is nested deeper than ${MAX_DEPTH}; a user is a flat object.`,
        );
      }
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
      if (--depth > 0) continue;
      if (!isBlank(body, at + 1, body.length)) {
        throw new BodyError(
          'malformed',
          'The body goes on after its JSON (several users are a list, or NDJSON).',
        );
      }
      if (isList && byte === CLOSE_OBJECT) break;
      const last = body.subarray(memberFrom, isList ? at : at + 1);
      // `[]` has no member, `[1,]` has an empty one too many.
      if (memberFrom > start + 1 || !isBlank(last, 0, last.length)) yield last;
      return;
    } else if (byte === COMMA && depth === ownDepth && isList) {
      yield body.subarray(memberFrom, at);
      memberFrom = at + 1;
    }
  }
  throw new BodyError('malformed', 'The body is not valid JSON: it does not end as it began.');
}

function isBlank(body: Buffer, from: number, end: number): boolean {
  return afterBlanks(body, from, end) === end;
}

function afterBlanks(body: Buffer, from: number, end = body.length): number {
  let at = from;
  while (at < end && BLANKS.has(body[at] ?? 0)) at++;
  return at;
}
