import { randomBytes } from 'node:crypto';
import { type Holder, holderOf } from './tokens.ts';

/** A link is good for one sign-in, and for so long. */
const LIFE_MS = 600_000;

/** The one-time links of `imsync console`. Its sessions end with the process, since its key does. */
export function createLinks(name: string, nowMs: () => number = () => performance.now()) {
  const holder: Holder = { ...holderOf(randomBytes(32).toString('hex'), 'act'), name };
  const codes = new Map<string, number>();
  return {
    holder,
    make(): string {
      const code = randomBytes(24).toString('base64url');
      codes.set(code, nowMs() + LIFE_MS);
      return code;
    },
    /** Whose link it was. It counts no second time. */
    redeem(code: string): Holder | undefined {
      const untilMs = codes.get(code);
      codes.delete(code);
      return untilMs !== undefined && nowMs() < untilMs ? holder : undefined;
    },
  };
}

export type Links = ReturnType<typeof createLinks>;
