import type { IncomingMessage } from 'node:http';
import { type BodyError, MAX_BODY_BYTES } from './body.ts';
import type { IntakeLoad } from './limits.ts';
import type { RefusalKind } from './request-log.ts';

/** A request that is answered as a whole, without results. */
export class RefusedRequest extends Error {
  override readonly name = 'RefusedRequest';
  readonly status: number;
  readonly error: RequestErrorWord;
  readonly retryAfterSeconds: number | undefined;
  constructor(status: number, error: RequestErrorWord, message: string, retryAfterSeconds?: number) {
    super(message);
    this.status = status;
    this.error = error;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The words in an answer's `error`, for programs; its `message` is for people. */
export const REQUEST_ERRORS = [
  ...['unauthorized', 'not-found', 'malformed', 'too-large', 'too-many-users'],
  ...['unsupported-media-type', 'busy', 'internal', 'unavailable', 'memory', 'stopping'],
] as const satisfies readonly RequestErrorWord[];
export type RequestErrorWord = Exclude<RefusalKind, 'invalid-users'> | 'unavailable' | 'memory' | 'stopping';

export function tooLarge(): RefusedRequest {
  const message = `The body is larger than ${MAX_BODY_BYTES} bytes. Send several requests.`;
  return new RefusedRequest(413, 'too-large', message);
}

export function busy(why: string): RefusedRequest {
  return new RefusedRequest(503, 'busy', `${why} Try again in a second.`, 1);
}

/** What a repeat may be told to wait for. */
export const REDIS_AWAY_SECONDS = 2;

export function redisAway(): RefusedRequest {
  const message = 'Redis cannot be reached. Try again; nothing was accepted.';
  return new RefusedRequest(503, 'unavailable', message, REDIS_AWAY_SECONDS);
}

/** A fault of a body as the answer to its request. */
export function refusedBody({ kind, message }: BodyError): RefusedRequest {
  return new RefusedRequest(kind === 'too-many-users' ? 413 : 400, kind, message);
}

/**
 * Reads a body whole. Rejects with RefusedRequest when it is too large, or when too much is held already; what still
 * comes of it is then thrown away, so that the client can read the answer. The bytes stay counted until `release`.
 */
export function readBody(
  request: IncomingMessage,
  load: IntakeLoad,
): Promise<{ readonly body: Buffer; readonly release: () => void }> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    let refused = false;
    const release = (): void => {
      load.release(bytes);
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
      else if (!load.hold(chunk.length))
        refuse(busy('This worker holds as many bodies as it takes at once.'));
      else {
        bytes += chunk.length;
        chunks.push(chunk);
      }
    });
    request.on('end', () => {
      if (!refused) resolve({ body: Buffer.concat(chunks), release });
    });
    const leave = (): void => {
      if (request.complete || refused) return;
      refuse(new RefusedRequest(400, 'malformed', 'The connection ended before the body did.'));
    };
    request.on('error', leave);
    request.on('close', leave);
  });
}
