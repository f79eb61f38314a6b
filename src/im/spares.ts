import type { OpenRequest } from './open-request.ts';

/** Few are ever needed: a call keeps its own connection from one slot to the next. */
const MAX_SPARES = 16;
/** Below the 60 s after which common gateways drop an idle connection, so that we close first. */
export const IDLE_MS = 55_000;

/** Connected requests that a call gave up unsent, for the next call. */
export interface Spares {
  /** Keeps it while it is connected and there is room; destroys it otherwise. */
  keep(open: OpenRequest): void;
  /** The latest one that is still connected. */
  take(): OpenRequest | undefined;
  clear(): void;
}

export function createSpares(): Spares {
  const kept: { readonly open: OpenRequest; readonly expiry: NodeJS.Timeout }[] = [];

  function take(): OpenRequest | undefined {
    for (let spare = kept.pop(); spare !== undefined; spare = kept.pop()) {
      clearTimeout(spare.expiry);
      if (spare.open.isConnected()) return spare.open;
      spare.open.destroy();
    }
    return undefined;
  }

  return {
    keep(open) {
      if (!open.isConnected() || kept.length >= MAX_SPARES) {
        open.destroy();
        return;
      }
      // One that has expired stays in the list until take() finds it dead.
      kept.push({ open, expiry: setTimeout(() => open.destroy(), IDLE_MS).unref() });
    },
    take,
    clear() {
      for (let open = take(); open !== undefined; open = take()) open.destroy();
    },
  };
}
