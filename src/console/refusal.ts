/** The words in an answer's `error`, for programs. Its `message` and `advice` are for people. */
type RefusalWord =
  | ('malformed' | 'no-session' | 'wrong-token' | 'not-allowed' | 'wrong-origin' | 'wrong-host')
  | ('not-found' | 'not-running' | 'refused' | 'conflict' | 'invalid-user' | 'too-large')
  | (
      | 'unsupported-media-type'
      | 'too-many'
      | 'internal'
      | 'redis-away'
      | 'redis-full'
      | 'redis-refuses'
      | 'stopping'
    );

/** Thrown to refuse a request: what happened, and what to do. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly error: RefusalWord;
  readonly advice: string;
  readonly retryAfterSeconds: number | undefined;
  constructor(
    status: number,
    error: RefusalWord,
    message: string,
    advice: string,
    retryAfterSeconds?: number,
  ) {
    super(message);
    this.status = status;
    this.error = error;
    this.advice = advice;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export function malformed(message: string): Refusal {
  return new Refusal(400, 'malformed', message, 'Correct the request; docs/console-api.yaml describes it.');
}

export function noSession(): Refusal {
  const advice = 'Sign in with a token of IMSYNC_CONSOLE_TOKENS or IMSYNC_CONSOLE_VIEW_TOKENS.';
  return new Refusal(401, 'no-session', 'There is no session, or it has ended.', advice);
}

export function wrongToken(): Refusal {
  const advice = 'Look whether it is complete, and whether it is still in IMSYNC_CONSOLE_TOKENS or its file.';
  return new Refusal(401, 'wrong-token', 'The console knows no such token.', advice);
}

export function notAllowed(name: string): Refusal {
  const message = `${name} may look, but not act.`;
  return new Refusal(403, 'not-allowed', message, 'Sign in with a token of IMSYNC_CONSOLE_TOKENS.');
}

export function notFound(what: string): Refusal {
  return new Refusal(
    404,
    'not-found',
    `There is no ${what}.`,
    'Look at the list again: it may have gone meanwhile.',
  );
}

export function stopping(): Refusal {
  return new Refusal(503, 'stopping', 'This process is stopping.', 'Try again in a moment.', 1);
}
