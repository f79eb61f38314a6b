import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import { createLogOutput, standardOutput } from './log-output.ts';

export type { Logger } from 'pino';

/** So much waits for a log that cannot be written: at info, half a minute of 100 calls/s. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** An exit waits no longer for a log that is read slowly: less than a worker keeps back of its shutdown time. */
const LAST_WORD_MS = 200;

/** A log, and how many of its lines were dropped. */
export interface StandardLog {
  readonly log: Logger;
  droppedLines(): number;
}

/**
 * JSON on standard output, written at once, by this thread: a transport would lose its last lines at exit, and pino's
 * own default, which writes in another thread, puts them before earlier ones. A log that cannot be written costs lines,
 * which are counted and told of, and nothing else.
 */
export function createStandardLog(level: string, bindings: Record<string, unknown>): StandardLog {
  const output = createLogOutput({
    write: standardOutput(),
    maxBytes: MAX_WAITING_BYTES,
    onGapOver: ({ lines, since, error }) =>
      log.warn(
        { lines, since, error },
        `${lines} log lines are missing here, since ${since.toISOString()}: standard output could not be written (${error})`,
      ),
  });
  const log = createLogger(level, bindings, output);
  process.once('exit', () => output.finish(LAST_WORD_MS));
  return { log, droppedLines: () => output.droppedLines };
}

/** Secrets are kept out where texts are made (im/redact.ts); the paths here are a second wall. */
export function createLogger(
  level: string,
  bindings: Record<string, unknown>,
  destination: DestinationStream,
): Logger {
  const options = {
    level,
    base: bindings,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: [
        'secretKey',
        'userSig',
        'usersig',
        'password',
        'token',
        '*.secretKey',
        '*.userSig',
        '*.password',
        '*.token',
      ],
      censor: '(secret)',
    },
  };
  return pino(options, destination);
}
