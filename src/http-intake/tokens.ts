import { createHash, timingSafeEqual } from 'node:crypto';
import { shortTokenProblems } from '../config/requirements.ts';

/** Who may use the HTTP intake. */
export interface TokenKeeper {
  /** Whether an `Authorization` header bears a token that counts now. */
  admits(authorization: string | undefined): boolean;
}

/** A file of tokens is looked at this often at most. */
const FRESH_MS = 1_000;
/** While the file cannot be used (it is being written, say), what was read last counts for so long. */
const GRACE_MS = 60_000;

/**
 * `read` answers the tokens as they are now, and throws when they cannot be had; `onChange` hears of it once, and
 * once when they can be had again. Tokens are compared as digests of equal length, all of them every time, so that
 * the time an answer takes tells nothing about them.
 */
export function createTokenKeeper(
  read: () => readonly string[],
  onChange: (problem: string | null) => void,
  nowMs: () => number = () => performance.now(),
): TokenKeeper {
  let digests: readonly Buffer[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  let goodAtMs = Number.NEGATIVE_INFINITY;
  let problem: string | null = null;

  const refresh = (): void => {
    if (nowMs() - readAtMs < FRESH_MS) return;
    readAtMs = nowMs();
    let now: string | null = null;
    try {
      const tokens = read();
      now = shortTokenProblems('The file of IMSYNC_INTAKE_TOKENS_FILE', tokens)[0] ?? null;
      if (now === null) {
        digests = tokens.map(digestOf);
        goodAtMs = readAtMs;
      }
    } catch (error) {
      now = (error as Error).message;
    }
    if (now !== null && readAtMs - goodAtMs > GRACE_MS) digests = [];
    if ((now === null) !== (problem === null)) onChange(now);
    problem = now;
  };

  return {
    admits(authorization) {
      refresh();
      const token = /^Bearer +([^\s]+)$/i.exec(authorization ?? '')?.[1];
      if (token === undefined) return false;
      const given = digestOf(token);
      let found = false;
      for (const digest of digests) if (timingSafeEqual(digest, given)) found = true;
      return found;
    },
  };
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
