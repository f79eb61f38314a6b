import { ConfigError } from '../../../src/config/config.ts';

/** Returns the problems of the ConfigError that `action` throws; fails if it throws none. */
export function problemsOf(action: () => unknown): readonly string[] {
  try {
    action();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('nothing was refused');
}
