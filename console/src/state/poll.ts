import { useEffect, useState } from 'preact/hooks';
import { ApiError } from '../api/client.ts';
import { visible } from './clock.ts';

export interface Polled<T> {
  /** The last good answer; undefined before the first. */
  readonly data: T | undefined;
  /** Why the last question failed; undefined when it did not. */
  readonly error: ApiError | undefined;
  /** Asks at once, after an act for instance. */
  readonly refresh: () => void;
}

/** Answers by address, so that a page that was seen before shows at once. */
const seen = new Map<string, unknown>();
const MOST_SEEN = 50;

/** After failures the gaps grow up to this. */
const MAX_GAP_MS = 8_000;

/**
 * Asks again and again while the page is seen. `key` names the question; another key is another question. Null
 * asks nothing.
 */
export function usePoll<T>(
  key: string | null,
  load: (signal: AbortSignal) => Promise<T>,
  everyMs: number,
): Polled<T> {
  const [round, setRound] = useState(0);
  const [answer, setAnswer] = useState<{ key: string | null; data?: T; error?: ApiError }>({ key: null });
  const isSeen = visible.value;
  // `key` stands for what `load` asks
  useEffect(() => {
    if (key === null || !isSeen) return undefined;
    const over = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async (failures: number): Promise<void> => {
      let failed = 0;
      try {
        const data = await load(over.signal);
        keep(key, data);
        setAnswer({ key, data });
      } catch (error) {
        if (over.signal.aborted) return;
        failed = failures + 1;
        const known = error instanceof ApiError ? error : new ApiError('internal', String(error), '');
        setAnswer((before) => ({ ...(before.key === key && before), key, error: known }));
      }
      if (!over.signal.aborted) timer = setTimeout(() => void look(failed), gapMs(everyMs, failed));
    };
    void look(0);
    return () => {
      over.abort();
      clearTimeout(timer);
    };
  }, [key, everyMs, isSeen, round]);
  const current = answer.key === key ? answer : undefined;
  return {
    data: current?.data ?? (key === null ? undefined : (seen.get(key) as T | undefined)),
    error: current?.error,
    refresh: () => setRound((n) => n + 1),
  };
}

function gapMs(everyMs: number, failures: number): number {
  return failures === 0 ? everyMs : Math.min(Math.max(MAX_GAP_MS, everyMs), everyMs * 2 ** failures);
}

function keep(key: string, data: unknown): void {
  seen.delete(key);
  seen.set(key, data);
  const [oldest] = seen.keys();
  if (seen.size > MOST_SEEN && oldest !== undefined) seen.delete(oldest);
}

/** For a viewer who leaves: the next one may see less. */
export function forgetSeen(): void {
  seen.clear();
}
