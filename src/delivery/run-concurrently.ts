/** Calls of one record under way at a time: enough to keep a slow API busy, few enough to be fair. */
const CALLS_AT_ONCE = 20;

/** What follows from a piece of work: more of it, or the end of all. */
export interface Step<T, E> {
  readonly again: readonly T[];
  readonly end?: E;
}

/**
 * Works off a list that grows as it is worked off, several pieces at a time; what follows from a piece goes
 * before what waits. After an end, or an error, nothing new is begun, but everything begun is waited for.
 * Answers the first end, or undefined when all is done; rejects with the first error.
 */
export async function runConcurrently<T, E>(
  first: readonly T[],
  step: (piece: T) => Promise<Step<T, E>>,
): Promise<E | undefined> {
  const pending = [...first];
  const underWay = new Set<Promise<void>>();
  let end: E | undefined;
  let failure: { readonly error: unknown } | undefined;

  const begin = async (piece: T): Promise<void> => {
    try {
      const next = await step(piece);
      end ??= next.end;
      pending.unshift(...next.again);
    } catch (error) {
      failure ??= { error };
    }
  };

  for (;;) {
    while (end === undefined && failure === undefined && underWay.size < CALLS_AT_ONCE) {
      const piece = pending.shift();
      if (piece === undefined) break;
      const lane: Promise<void> = begin(piece).finally(() => underWay.delete(lane));
      underWay.add(lane);
    }
    if (underWay.size === 0) break;
    await Promise.race(underWay);
  }
  if (failure !== undefined) throw failure.error;
  return end;
}
