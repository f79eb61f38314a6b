import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isAbsent, isKnownField, KNOWN_FIELDS } from '../event/event.ts';
import type { UserInput } from '../event/fields.ts';
import { byteLength, cut } from '../event/text.ts';
import { kindOf } from '../event/user-id.ts';
import { busy, RefusedRequest } from './refused-request.ts';

/**
 * The body of POST /v1/users: its bounds, how it is read, and the users it holds. The bounds are small enough
 * that JSON.parse of a whole body keeps the event loop for about 2 ms (docs/decisions/0070).
 */

export const MAX_BODY_BYTES = 1024 * 1024;
export const MAX_USERS = 1_000;
/** Largest user: names and texts together, in bytes. All that an event can carry fits. */
export const MAX_USER_BYTES = 512 * 1024;
/** Bytes of bodies held at once, over all requests of this process. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

const BOUNDS = `A request may hold ${MAX_USERS.toLocaleString('en')} users and 1 MiB. Send several requests.`;

export type BodyForm = 'json' | 'ndjson';

/** The form that the headers name. Throws RefusedRequest when they name none, or a body that is too large. */
export function bodyFormOf(headers: IncomingHttpHeaders): BodyForm {
  const [type = '', ...parameters] = (headers['content-type'] ?? '').toLowerCase().split(';');
  const form = FORMS.get(type.trim());
  if (form === undefined) {
    const given = type.trim().slice(0, 80);
    throw unsupported(given === '' ? 'there is no content type' : `the content type is ${given}`);
  }
  // Parameters other than the character set are ignored.
  const charset = parameters.map((one) => /^\s*charset\s*=\s*"?([^"\s]*)/.exec(one)?.[1]).find(Boolean);
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8')
    throw unsupported(`the character set is ${charset.slice(0, 40)}; it must be utf-8`);
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw unsupported(`the content encoding is ${encoding.slice(0, 40)}`);
  if (Number(headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  return form;
}

const FORMS: ReadonlyMap<string, BodyForm> = new Map([
  ['application/json', 'json'],
  ['application/x-ndjson', 'ndjson'],
  ['application/ndjson', 'ndjson'],
]);

function unsupported(problem: string): RefusedRequest {
  const message = `Send application/json or application/x-ndjson, in UTF-8 and not compressed: ${problem}.`;
  return new RefusedRequest(415, 'unsupported-media-type', message);
}

function tooLarge(): RefusedRequest {
  return new RefusedRequest(413, 'too-large', `The body is too large. ${BOUNDS}`);
}

function tooManyUsers(): RefusedRequest {
  return new RefusedRequest(413, 'too-many-users', `The body holds too many users. ${BOUNDS}`);
}

function malformed(message: string): RefusedRequest {
  return new RefusedRequest(400, 'malformed', message);
}

/** Counts the bytes of bodies that are in memory, so that many requests at once cannot exhaust it. */
export class BodyMemory {
  #held = 0;

  /** False when these bytes are too many on top of those held. */
  hold(bytes: number): boolean {
    if (this.#held + bytes > MAX_HELD_BYTES) return false;
    this.#held += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#held -= bytes;
  }
}

/**
 * Reads a whole body. Rejects with RefusedRequest when it is too large, or when all requests together hold
 * too much. The rest of a refused body is read and dropped, so that the client can read the answer. The bytes
 * stay counted in `memory` until the caller calls `release`.
 */
export async function readBody(
  request: IncomingMessage,
  memory: BodyMemory,
): Promise<{ readonly body: Buffer; readonly release: () => void }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      if (bytes + chunk.length > MAX_BODY_BYTES) throw tooLarge();
      if (!memory.hold(chunk.length)) throw busy('This worker holds as many bodies as it takes at once.');
      bytes += chunk.length;
      chunks.push(chunk);
    }
  } catch (error) {
    memory.release(bytes);
    request.resume();
    if (error instanceof RefusedRequest) throw error;
    throw malformed('The connection ended before the body did.');
  }
  return { body: Buffer.concat(chunks), release: () => memory.release(bytes) };
}

/** One user of a body as JSON says it; undefined for an NDJSON line that is not JSON. */
type JsonUser = { readonly value: unknown } | undefined;

/**
 * The users of a body, in order. JSON is one object or a list of them; NDJSON is one object a line, without
 * its blank lines. Throws RefusedRequest when the body as a whole cannot be used. One bad line of NDJSON
 * refuses only its own user.
 */
export function usersOf(body: Buffer, form: BodyForm): JsonUser[] {
  // Some tools write a byte order mark, which is not JSON.
  const text = body.toString('utf8').replace(/^\uFEFF/, '');
  const users = form === 'ndjson' ? usersOfLines(text) : usersOfJson(text);
  if (users.length === 0) throw malformed('The body holds no user.');
  return users;
}

function usersOfLines(text: string): JsonUser[] {
  const lines = text.split('\n').filter((line) => !isBlank(line));
  if (lines.length > MAX_USERS) throw tooManyUsers();
  return lines.map(parse);
}

function usersOfJson(text: string): JsonUser[] {
  if (isBlank(text)) return [];
  const parsed = parse(text);
  if (parsed === undefined) {
    throw malformed('The body is not valid JSON. Several users are a JSON list, or NDJSON.');
  }
  const { value } = parsed;
  if (typeof value !== 'object' || value === null) {
    throw malformed('The body is neither a JSON object nor a JSON list of objects.');
  }
  if (!Array.isArray(value)) return [parsed];
  if (value.length > MAX_USERS) throw tooManyUsers();
  return value.map((one) => ({ value: one }));
}

function parse(text: string): JsonUser {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** JSON's own white space only. */
function isBlank(text: string): boolean {
  return /^[ \t\r\n]*$/.test(text);
}

/** A user of a body: as the producer takes it, or why it cannot be read. */
export interface ReadUser {
  /** Its ID for the answer, cut to 200 characters; undefined when it has none that is text. */
  readonly userId: string | undefined;
  readonly user: UserInput | undefined;
  /** Empty when there is a `user`. The producer then judges whether that one is valid. */
  readonly problems: readonly string[];
}

/** Spelling without case, blanks, dashes and underscores, by which a misspelt field is recognised. */
const plain = (name: string): string => name.toLowerCase().replace(/[\s_-]/g, '');
const bySpelling: ReadonlyMap<string, string> = new Map(KNOWN_FIELDS.map((name) => [plain(name), name]));

/**
 * Reads one user: a flat object with the field names of an event. Unknown fields travel along, as they do in
 * the stream. A known name that is misspelt is refused, since `face_url` would cost the picture unnoticed.
 * `traceparent` is the request's, for a user that has none of its own. Never throws.
 */
export function readUser(json: JsonUser, traceparent?: string): ReadUser {
  if (json === undefined) return unreadable('this is not valid JSON');
  const { value } = json;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return unreadable(`a user must be a JSON object with a userId, not ${kindOf(value)}`);
  }
  const fields = Object.entries(value);
  const bytes = bytesOf(fields);
  if (bytes > MAX_USER_BYTES)
    return unreadable(`the user takes ${bytes} bytes; ${MAX_USER_BYTES} is the most`);
  const known = Object.fromEntries(fields.filter(([name]) => isKnownField(name)));
  const further = fields.filter(([name]) => !isKnownField(name));
  const userId = typeof known.userId === 'string' ? cut(known.userId, 200) : undefined;
  const problems = further.flatMap(([name]) => misspelt(name));
  if (problems.length > 0) return { userId, user: undefined, problems };
  const user = {
    ...known,
    ...(isAbsent(known.traceparent) && traceparent !== undefined && { traceparent }),
    ...(further.length > 0 && { extra: Object.fromEntries(further) }),
  };
  // The types of the values are not certain yet: the producer validates them.
  return { userId, user: user as unknown as UserInput, problems: [] };
}

function unreadable(problem: string): ReadUser {
  return { userId: undefined, user: undefined, problems: [problem] };
}

/** Values other than text count nothing: they are short, or the producer refuses them. */
function bytesOf(fields: readonly (readonly [name: string, value: unknown])[]): number {
  const lengths = fields.flat().map((part) => (typeof part === 'string' ? byteLength(part) : 0));
  return lengths.reduce((sum, bytes) => sum + bytes, 0);
}

function misspelt(name: string): string[] {
  const right = bySpelling.get(plain(name));
  return right === undefined ? [] : [`the field ${JSON.stringify(cut(name, 40))} must be written ${right}`];
}
