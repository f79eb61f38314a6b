import { createHmac, timingSafeEqual } from 'node:crypto';
import { tokenParts } from '../../config/requirements.ts';

export type Rights = 'view' | 'act';

/** The holder of a token. */
export interface Holder {
  /** Names the token without telling it. */
  readonly id: string;
  /** For people: the name before the token's colon, or the beginning of `id`. */
  readonly name: string;
  readonly rights: Rights;
  /** Signs the sessions that were opened with the token, so that they end with it. */
  readonly sessionKey: Buffer;
}

/** The tokens as they are now, apart by what they allow. */
export interface Tokens {
  readonly acting: readonly string[];
  readonly viewing: readonly string[];
}

/** The files of tokens are read at most this often. */
const FRESH_MS = 1_000;
/** While they cannot be used (one is being written, say), the tokens read last stay valid for so long. */
const GRACE_MS = 60_000;

export type TokenBook = ReturnType<typeof createTokenBook>;

/**
 * Knows who has which token. `read` returns the tokens, and throws when they cannot be used; `onChange` is
 * told the problem once, and null when they can be read again. `own` holds the one of `imsync console`.
 */
export function createTokenBook(
  read: () => Tokens,
  onChange: (problem: string | null) => void,
  own: readonly Holder[] = [],
  nowMs: () => number = () => performance.now(),
) {
  let holders: readonly Holder[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  let goodAtMs = Number.NEGATIVE_INFINITY;
  let problem: string | null = null;

  const present = (): readonly Holder[] => {
    if (nowMs() - readAtMs < FRESH_MS) return holders;
    readAtMs = nowMs();
    let now: string | null = null;
    try {
      const { acting, viewing } = read();
      holders = [
        ...own,
        ...acting.map((token) => holderOf(token, 'act')),
        ...viewing.map((token) => holderOf(token, 'view')),
      ];
      goodAtMs = readAtMs;
    } catch (error) {
      now = (error as Error).message;
    }
    if (now !== null && readAtMs - goodAtMs > GRACE_MS) holders = own;
    if ((now === null) !== (problem === null)) onChange(now);
    problem = now;
    return holders;
  };

  return {
    /** Compares digests of equal length, all of them, so that the time of an answer tells nothing of tokens. */
    find(secret: string): Holder | undefined {
      const given = digest(secret, 'id');
      return present().filter(({ id }) =>
        timingSafeEqual(Buffer.from(id, 'hex'), given.subarray(0, ID_BYTES)),
      )[0];
    },
    byId: (id: string): Holder | undefined => present().find((holder) => holder.id === id),
  };
}

const ID_BYTES = 16;

export function holderOf(token: string, rights: Rights): Holder {
  const { name, secret } = tokenParts(token);
  const id = digest(secret, 'id').subarray(0, ID_BYTES).toString('hex');
  return { id, name: name || `token ${id.slice(0, 4)}`, rights, sessionKey: digest(secret, 'session') };
}

function digest(secret: string, use: string): Buffer {
  return createHmac('sha256', secret).update(`imsync console ${use}`).digest();
}
