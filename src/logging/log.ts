import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import { createLogOutput, standardOutput } from './log-output.ts';

export type { Logger } from 'pino';

/** Lines that wait for a log that cannot be written: at info, half a minute of 100 calls/s. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** An exit waits this long for a slow reader: less than a worker reserves of its shutdown time. */
const LAST_WORD_MS = 200;

/** The log on standard output. */
export interface StandardLog {
  readonly log: Logger;
  /** How many lines were dropped since the start. */
  droppedLines(): number;
}

/**
 * Writes JSON on standard output, at once and from this thread. A transport of pino would lose its last lines
 * at exit, and pino's default, which writes from another thread, puts them before earlier ones. When standard
 * output cannot be written, lines are dropped, counted and reported; nothing else suffers.
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

/** Secrets are removed where texts are made (im/redact.ts). The paths here are a second guard. */
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
