import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { isAbsent, isKnownField, KNOWN_FIELDS } from '../event/event.ts';
import type { UserInput } from '../event/fields.ts';
import { cut } from '../event/text.ts';
import { kindOf } from '../event/user-id.ts';
import { RefusedRequest } from './refused-request.ts';

/**
 * The body of POST /v1/users: its bounds, and the users it holds. The bounds are small enough that JSON.parse
 * of a whole body keeps the event loop for about 2 ms (docs/decisions/0070).
 */

export const MAX_BODY_BYTES = 1024 * 1024;
export const MAX_USERS = 1_000;

const BOUNDS = `A request may hold ${MAX_USERS.toLocaleString('en')} users and 1 MiB. Send several requests.`;

/** For the routes of `app`, `request.body` is a list of users. Other content types are refused. */
export function parseUsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: unknown, body: Buffer) => usersOfJson(body),
  );
  const ndjson = ['application/x-ndjson', 'application/ndjson'];
  app.addContentTypeParser(ndjson, { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) =>
    usersOfLines(body),
  );
}

/** Throws RefusedRequest when the headers name no form, no character set or an encoding that can be read. */
export function refuseUnreadable(headers: IncomingHttpHeaders): void {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = headers;
  // Parameters other than the character set are ignored.
  const charset = /;\s*charset\s*=\s*"?([^\s";]*)/i.exec(type)?.[1] ?? 'utf-8';
  const isForm = /^\s*application\/(json|(x-)?ndjson)\s*(;|$)/i.test(type);
  if (isForm && /^utf-?8$/i.test(charset) && encoding === 'identity') return;
  const given = `the content type is ${type.slice(0, 80) || 'missing'}, the content encoding ${encoding.slice(0, 40)}`;
  const message = `Send application/json or application/x-ndjson, in UTF-8 and not compressed: ${given}.`;
  throw new RefusedRequest(415, 'unsupported-media-type', message);
}

export function tooLarge(): RefusedRequest {
  return new RefusedRequest(413, 'too-large', `The body is too large. ${BOUNDS}`);
}

function malformed(message: string): RefusedRequest {
  return new RefusedRequest(400, 'malformed', message);
}

/** NDJSON: one object a line. One bad line refuses only its own user. */
export function usersOfLines(body: Buffer): JsonUser[] {
  const lines = textOf(body)
    .split('\n')
    .filter((line) => !isBlank(line));
  return bounded(lines).map(parse);
}

/** JSON: one object, or a list of them. */
export function usersOfJson(body: Buffer): JsonUser[] {
  const text = textOf(body);
  if (isBlank(text)) return bounded([]);
  const value = parse(text);
  if (value === undefined) {
    throw malformed('The body is not valid JSON. Several users are a JSON list, or NDJSON.');
  }
  if (typeof value !== 'object' || value === null) {
    throw malformed('The body is neither a JSON object nor a JSON list of objects.');
  }
  return bounded(Array.isArray(value) ? value : [value]);
}

function bounded<T>(users: T[]): T[] {
  if (users.length === 0) throw malformed('The body holds no user.');
  if (users.length <= MAX_USERS) return users;
  throw new RefusedRequest(413, 'too-many-users', `The body holds too many users. ${BOUNDS}`);
}

/** Some tools write a byte order mark, which is not JSON. */
function textOf(body: Buffer): string {
  return body.toString('utf8').replace(/^\uFEFF/, '');
}

/** JSON's own white space only. */
function isBlank(text: string): boolean {
  return /^[ \t\r\n]*$/.test(text);
}

/** One user of a body as JSON says it; undefined, which JSON cannot say, for a line that is not JSON. */
export type JsonUser = unknown;

function parse(text: string): JsonUser {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
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
export function readUser(value: JsonUser, traceparent?: string): ReadUser {
  if (value === undefined) return unreadable('this is not valid JSON');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return unreadable(`a user must be a JSON object with a userId, not ${kindOf(value)}`);
  }
  const fields = Object.entries(value);
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

function misspelt(name: string): string[] {
  const right = bySpelling.get(plain(name));
  return right === undefined ? [] : [`the field ${JSON.stringify(cut(name, 40))} must be written ${right}`];
}
