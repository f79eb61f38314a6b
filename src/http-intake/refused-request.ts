/** Thrown to answer a request as a whole, without results for its users. */
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

/** The words in an answer's `error`. They are for programs; its `message` is for people. */
export const REQUEST_ERRORS = [
  ...(['unauthorized', 'not-found', 'malformed', 'too-large', 'too-many-users'] as const),
  ...(['unsupported-media-type', 'busy', 'internal', 'unavailable', 'memory', 'stopping'] as const),
] as const;
type RequestErrorWord = (typeof REQUEST_ERRORS)[number];
/** Why a request, or a user of one, was refused, for the log. */
export type RefusalKind = Exclude<RequestErrorWord, 'unavailable' | 'memory' | 'stopping'> | 'invalid-users';

/** `Retry-After` while Redis is away, in seconds. */
export const REDIS_AWAY_SECONDS = 2;

export function redisAway(): RefusedRequest {
  const message = 'Redis cannot be reached, or takes no writes. Try again; nothing was accepted.';
  return new RefusedRequest(503, 'unavailable', message, REDIS_AWAY_SECONDS);
}

export function busy(why: string): RefusedRequest {
  return new RefusedRequest(503, 'busy', `${why} Try again in a second.`, 1);
}
