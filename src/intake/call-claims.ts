import type { CallClaim } from './cut.ts';

/**
 * Names the calls that this process takes in hand. `uuid`: random, 36 characters. A call has the process's name and its
 * number, so that no two processes and no two starts of one name the same; each run is of its own.
 */
export function createCallClaims(uuid: () => string): () => CallClaim {
  const process = uuid().replaceAll('-', '').slice(0, 12);
  let number = 0;
  return () => {
    number += 1;
    return { callId: `c${process}-${number.toString(36)}`, run: uuid() };
  };
}
