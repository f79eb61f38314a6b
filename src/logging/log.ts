import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { trace } from '@opentelemetry/api';
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';

export type { Logger } from 'pino';

/** Lines that wait for a log that cannot be written: at info, half a minute of 100 calls/s. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** An exit waits this long for a slow reader: less than a worker reserves of its shutdown time. */
const LAST_WORD_MS = 200;

/**
 * Writes JSON on standard output, at once and from this thread. A transport of pino would lose its last lines
 * at exit, and pino's default, which writes from another thread, puts them before earlier ones. When standard
 * output cannot be written, lines are dropped, counted and reported; nothing else suffers. `isTraced`: lines
 * carry the IDs of the active span.
 */
export function createStandardLog(level: string, bindings: Record<string, unknown>, isTraced = false) {
  const output = new LogOutput({
    write: standardOutput(),
    maxBytes: MAX_WAITING_BYTES,
    onGapOver: ({ lines, since, error }) =>
      log.warn(
        { lines, since, error },
        `${lines} log lines are missing here, since ${since.toISOString()}: standard output could not be written (${error})`,
      ),
  });
  const log = createLogger(level, bindings, output, isTraced);
  process.once('exit', () => output.finish(LAST_WORD_MS));
  return { log, droppedLines: () => output.droppedLines };
}

const SECRETS = ['secretKey', 'userSig', 'password', 'token'];

/** Secrets are removed where texts are made (im/redact.ts). The paths here are a second guard. */
export function createLogger(
  level: string,
  bindings: Record<string, unknown>,
  destination: DestinationStream,
  isTraced = false,
): Logger {
  const options = {
    level,
    base: bindings,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    ...(isTraced && { mixin: activeSpan }),
    redact: { paths: [...SECRETS, 'usersig', ...SECRETS.map((name) => `*.${name}`)], censor: '(secret)' },
  };
  return pino(options, destination);
}

/** The IDs of the span in which a line is written, named as OpenTelemetry names them in JSON logs. */
function activeSpan(): object {
  const span = trace.getActiveSpan()?.spanContext();
  return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId };
}

/** Lines that were dropped between two others. */
export interface Gap {
  readonly lines: number;
  readonly since: Date;
  /** The code of the last failed write: EAGAIN when the reader is slow, ENOSPC when the disk is full. */
  readonly error: string;
}

/** A log that could not be written is tried again this often. */
const RETRY_MS = 50;
/** PIPE_BUF. A reader that is woken for each line would be slow. */
const WHOLE_BYTES = 4_096;
/** At the exit a slow reader is looked for this often. */
const LOOK_MS = 5;

interface LogOutputOptions {
  /** Returns how many bytes it took. Throws when it took none. */
  readonly write: (bytes: Uint8Array) => number;
  readonly maxBytes: number;
  /** Reports the gap; it may write a line. */
  readonly onGapOver: (gap: Gap) => void;
}

/**
 * Takes whole lines. A line is written at once. One that cannot be written waits and is tried again; up to
 * `maxBytes` wait. Beyond that, this line and all later ones are dropped until nothing waits, so that there
 * is one gap, reported at its place.
 */
export class LogOutput {
  readonly #options: LogOutputOptions;
  /** The first may be the rest of a line that was written in part. */
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #gap: { lines: number; readonly since: Date } | undefined;
  #droppedLines = 0;
  /** A partial write throws nothing and also means that the reader is slow. */
  #error = 'EAGAIN';
  #retrying = false;

  constructor(options: LogOutputOptions) {
    this.#options = options;
  }

  /** Never waits and never throws. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    const waited = this.#waiting.length > 0;
    const isTooMuch = waited && this.#waitingBytes + bytes.length > this.#options.maxBytes;
    if (this.#gap !== undefined || isTooMuch) {
      this.#gap ??= { lines: 0, since: new Date() };
      this.#gap.lines++;
      this.#droppedLines++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (!waited && !this.#drain()) this.#retryLater();
  }

  /** Since the start. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  /** For the exit: waits up to `forMs` for a slow reader, and blocks the process meanwhile. */
  finish(forMs: number): void {
    const until = performance.now() + forMs;
    // Only a slow reader is worth waiting for, not a full disk or a reader that is gone.
    while (!this.#drain() && this.#error === 'EAGAIN' && performance.now() < until)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
  }

  /** Writes what waits. True when nothing is left. */
  #drain(): boolean {
    while (this.#waiting.length > 0) {
      const bytes = Buffer.concat(this.#waiting.splice(0, this.#nextLines()));
      const written = this.#tryToWrite(bytes);
      this.#waitingBytes -= written;
      if (written < bytes.length) {
        this.#waiting.unshift(bytes.subarray(written));
        return false;
      }
    }
    if (this.#gap === undefined) return true;
    const over = { ...this.#gap, error: this.#error };
    this.#gap = undefined;
    this.#options.onGapOver(over);
    return this.#waiting.length === 0;
  }

  /** How many lines go into the next write: as many as a pipe takes whole or not at all, but one at least. */
  #nextLines(): number {
    let bytes = 0;
    const tooMany = this.#waiting.findIndex((line) => {
      bytes += line.length;
      return bytes > WHOLE_BYTES;
    });
    return tooMany < 0 ? this.#waiting.length : Math.max(1, tooMany);
  }

  #tryToWrite(bytes: Uint8Array): number {
    try {
      return this.#options.write(bytes);
    } catch (thrown) {
      this.#error = (thrown as NodeJS.ErrnoException).code ?? String(thrown);
      return 0;
    }
  }

  #retryLater(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    // This timer must not keep the process alive; `finish` writes the rest at the exit.
    setTimeout(() => {
      this.#retrying = false;
      if (!this.#drain()) this.#retryLater();
    }, RETRY_MS).unref();
  }
}

/**
 * Writes to standard output without ever waiting for its reader: a write to a full pipe must fail with
 * EAGAIN. A thread of Node could wait instead, but a waiting thread keeps the process from its end.
 * O_NONBLOCK belongs to the open pipe, which other processes share, and each Node process that ends resets
 * it. So the pipe is opened a second time for this process alone, and so is a terminal, which Ctrl-S stops.
 * Where that is refused (a socket, a pipe of another user, no /proc), `process.stdout` sets O_NONBLOCK when
 * it is first used. A file has no reader.
 */
function standardOutput(): (bytes: Uint8Array) => number {
  const fd = openAgain() ?? process.stdout.fd;
  return (bytes) => writeSync(fd, bytes);
}

function openAgain(): number | undefined {
  if (!fstatSync(1).isFIFO() && !isatty(1)) return undefined;
  try {
    return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}
