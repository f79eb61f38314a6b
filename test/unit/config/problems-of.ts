import { ConfigError } from '../../../src/config/config-error.ts';

/** The problems that `action` ends with; fails if it ends well or with another error. */
export function problemsOf(action: () => unknown): readonly string[] {
  try {
    action();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('nothing was refused');
}
