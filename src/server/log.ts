import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';

export type { Logger } from 'pino';

/**
 * JSON on standard output, written synchronously: a transport would lose its last lines at exit, and pino's own
 * default, which writes in another thread, puts them before earlier ones. Secrets are kept out where texts are made
 * (im/redact.ts); the paths here are a second wall.
 */
export function createLogger(
  level: string,
  bindings: Record<string, unknown>,
  destination?: DestinationStream,
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
  return pino(options, destination ?? pino.destination({ dest: 1, sync: true }));
}
