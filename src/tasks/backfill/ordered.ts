/**
 * Does work on what a source gives, several pieces at a time, and answers in the source's order. At most `atOnce`
 * pieces are under way or wait to be taken, so memory stays flat. Rejects with the first error in that order; what
 * was begun then goes on unheard.
 */
export async function* ordered<T, R>(
  source: AsyncIterable<T>,
  atOnce: number,
  work: (piece: T) => Promise<R>,
): AsyncGenerator<R> {
  const pending: Promise<R>[] = [];
  const pieces = source[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      while (!ended && pending.length < atOnce) {
        const next = await pieces.next();
        if (next.done === true) {
          ended = true;
          break;
        }
        const begun = work(next.value);
        // BreakerVerdict when its turn comes.
        begun.catch(() => undefined);
        pending.push(begun);
      }
      const first = pending.shift();
      if (first === undefined) return;
      yield await first;
    }
  } finally {
    await pieces.return?.();
  }
}
