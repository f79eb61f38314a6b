import { useState } from 'preact/hooks';
import { ApiError } from '../api/client.ts';
import { errorWords } from '../api/error-words.ts';

/** An act on its way: whether it runs, and what came in its way. */
export function useAct<T>(act: () => Promise<T>, onDone: (result: T) => void) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const run = async (): Promise<void> => {
    if (busy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      onDone(await act());
    } catch (error) {
      setProblem(error instanceof ApiError ? errorWords(error) : String(error));
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, run };
}
