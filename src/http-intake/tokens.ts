import { createHash, timingSafeEqual } from 'node:crypto';

/** Whether an `Authorization` header has a token that is valid now. */
export type TokenCheck = (authorization: string | undefined) => boolean;

/** The file of tokens is read at most this often. */
const FRESH_MS = 1_000;
/** While the file cannot be used (it is being written, say), the tokens read last stay valid for so long. */
const GRACE_MS = 60_000;

/**
 * `read` returns the tokens as they are now, and throws when they cannot be used. `onChange` is told the
 * problem once, and null when they can be read again. Tokens are compared as digests of equal length, all of
 * them every time, so that the time of an answer tells nothing about them.
 */
export function createTokenCheck(
  read: () => readonly string[],
  onChange: (problem: string | null) => void,
  nowMs: () => number = () => performance.now(),
): TokenCheck {
  let digests: readonly Buffer[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  let goodAtMs = Number.NEGATIVE_INFINITY;
  let problem: string | null = null;

  const refresh = (): void => {
    if (nowMs() - readAtMs < FRESH_MS) return;
    readAtMs = nowMs();
    let now: string | null = null;
    try {
      digests = read().map(digestOf);
      goodAtMs = readAtMs;
    } catch (error) {
      now = (error as Error).message;
    }
    if (now !== null && readAtMs - goodAtMs > GRACE_MS) digests = [];
    if ((now === null) !== (problem === null)) onChange(now);
    problem = now;
  };

  return (authorization) => {
    refresh();
    const token = /^Bearer +([^\s]+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) return false;
    const given = digestOf(token);
    return digests.filter((digest) => timingSafeEqual(digest, given)).length > 0;
  };
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
