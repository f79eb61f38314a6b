import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { busy, RefusedRequest } from './refused-request.ts';

/**
 * The body of POST /v1/users: its bounds, how it is read, and the users it holds. The bounds are small enough
 * that JSON.parse of a whole body keeps the event loop for about 2 ms (docs/decisions/0070).
 */

/** Largest body, in bytes. */
export const MAX_BODY_BYTES = 1024 * 1024;
/** Most users of one body. */
export const MAX_USERS = 1_000;
/** Bytes of bodies held at once, over all requests of this process. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

const BOUNDS = `A request may hold ${MAX_USERS.toLocaleString('en')} users and 1 MiB. Send several requests.`;

export type BodyForm = 'json' | 'ndjson';

/** Counts the bytes of bodies that are in memory, so that many requests at once cannot exhaust it. */
export interface BodyMemory {
  /** False when these bytes are too many on top of those held. */
  hold(bytes: number): boolean;
  release(bytes: number): void;
}

export function createBodyMemory(): BodyMemory {
  let held = 0;
  return {
    hold(bytes) {
      if (held + bytes > MAX_HELD_BYTES) return false;
      held += bytes;
      return true;
    },
    release(bytes) {
      held -= bytes;
    },
  };
}

/** The form that the headers name. Throws RefusedRequest when they name none, or a body that is too large. */
export function bodyFormOf(headers: IncomingHttpHeaders): BodyForm {
  const form = formOf(headers['content-type']);
  const encoding = headers['content-encoding'] ?? 'identity';
  const problem =
    typeof form === 'object'
      ? form.problem
      : encoding !== 'identity' && `the content encoding is ${encoding.slice(0, 40)}`;
  if (typeof form === 'object' || problem) {
    const message = `Send application/json or application/x-ndjson, in UTF-8 and not compressed: ${problem}.`;
    throw new RefusedRequest(415, 'unsupported-media-type', message);
  }
  if (Number(headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  return form;
}

function formOf(contentType: string | undefined): BodyForm | { readonly problem: string } {
  const [type = '', ...parameters] = (contentType ?? '').toLowerCase().split(';');
  // Parameters other than the character set are ignored.
  const charset = parameters.map((one) => /^\s*charset\s*=\s*"?([^"\s]*)/.exec(one)?.[1]).find(Boolean);
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
    return { problem: `the character set is ${charset.slice(0, 40)}; it must be utf-8` };
  }
  switch (type.trim()) {
    case 'application/json':
      return 'json';
    case 'application/x-ndjson':
    case 'application/ndjson':
      return 'ndjson';
    case '':
      return { problem: 'there is no content type' };
    default:
      return { problem: `the content type is ${type.trim().slice(0, 80)}` };
  }
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

/**
 * Reads a whole body. Rejects with RefusedRequest when it is too large, or when all requests together hold
 * too much. The rest of a refused body is read and dropped, so that the client can read the answer. The bytes
 * stay counted in `memory` until the caller calls `release`.
 */
export function readBody(
  request: IncomingMessage,
  memory: BodyMemory,
): Promise<{ readonly body: Buffer; readonly release: () => void }> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    let refused = false;
    const release = (): void => {
      memory.release(bytes);
      bytes = 0;
    };
    const refuse = (why: RefusedRequest): void => {
      refused = true;
      chunks = [];
      release();
      reject(why);
    };
    request.on('data', (chunk: Buffer) => {
      if (refused) return;
      if (bytes + chunk.length > MAX_BODY_BYTES) refuse(tooLarge());
      else if (!memory.hold(chunk.length))
        refuse(busy('This worker holds as many bodies as it takes at once.'));
      else {
        bytes += chunk.length;
        chunks.push(chunk);
      }
    });
    request.on('end', () => {
      if (!refused) resolve({ body: Buffer.concat(chunks), release });
    });
    const brokeOff = (): void => {
      if (request.complete || refused) return;
      refuse(malformed('The connection ended before the body did.'));
    };
    request.on('error', brokeOff);
    request.on('close', brokeOff);
  });
}

/** One user of a body as JSON says it; undefined for an NDJSON line that is not JSON. */
export type JsonUser = { readonly value: unknown } | undefined;

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
