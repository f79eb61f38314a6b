/** Time that passes only from one event to the next. */
export interface VirtualTime {
  readonly nowMs: number;
  at(ms: number, what: () => void): void;
  until(ms: number): Promise<void>;
  /** Works everything off, in order, until nothing is left, `isOver` says so, or the time comes. */
  run(untilMs: number, isOver: () => boolean): Promise<void>;
}

interface Event {
  readonly ms: number;
  readonly number: number;
  readonly what: () => void;
}

export function createVirtualTime(startMs: number): VirtualTime {
  const heap: Event[] = [];
  let nowMs = startMs;
  let count = 0;

  const isBefore = (a: Event | undefined, b: Event | undefined): boolean =>
    a !== undefined && b !== undefined && (a.ms < b.ms || (a.ms === b.ms && a.number < b.number));
  const swap = (i: number, j: number): void => {
    [heap[i], heap[j]] = [heap[j] as Event, heap[i] as Event];
  };
  const at = (ms: number, what: () => void): void => {
    heap.push({ ms: Math.max(ms, nowMs), number: count++, what });
    for (let i = heap.length - 1; i > 0 && isBefore(heap[i], heap[(i - 1) >> 1]); i = (i - 1) >> 1)
      swap(i, (i - 1) >> 1);
  };
  const next = (): Event | undefined => {
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    heap[0] = last;
    for (let i = 0; ; ) {
      const child = isBefore(heap[2 * i + 2], heap[2 * i + 1]) ? 2 * i + 2 : 2 * i + 1;
      if (!isBefore(heap[child], heap[i])) return first;
      swap(i, child);
      i = child;
    }
  };
  return {
    get nowMs() {
      return nowMs;
    },
    at,
    until: (ms) => new Promise((resolve) => at(ms, resolve)),
    async run(untilMs, isOver) {
      while (!isOver()) {
        const event = next();
        if (event === undefined) return;
        nowMs = event.ms;
        if (nowMs > untilMs) return;
        event.what();
        while (heap[0]?.ms === nowMs) next()?.what();
        // Whatever follows from it without waiting is done before time passes.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    },
  };
}
