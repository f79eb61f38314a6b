import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { Counter, type Registry } from 'prom-client';

/** Lines that are missing between two others. */
export interface Gap {
  readonly lines: number;
  readonly since: Date;
  /** Why the last try to write failed: EAGAIN when nobody reads, ENOSPC when the disk is full. */
  readonly error: string;
}

/** Takes whole lines, never waits and never throws. */
export interface LogOutput {
  write(line: string): void;
  /** Since the start. */
  readonly droppedLines: number;
  /** The last word: waits for a slow reader, but not longer than this. Nothing else happens meanwhile. */
  finish(forMs: number): void;
}

const FIRST_RETRY_MS = 10;
const LAST_RETRY_MS = 1_000;
/** What waited is written by so much: a pipe takes it whole or not at all (PIPE_BUF), whoever else writes to it. */
const BATCH_BYTES = 4_096;

/**
 * A line is written at once. What cannot be written waits, up to `maxBytes`, and is tried again and again; beyond that
 * lines are dropped whole, and so are all that follow until nothing waits: there is one gap then, told where it is.
 */
export function createLogOutput(options: {
  /** How many bytes it took; throws when it took none. */
  readonly write: (text: string | Uint8Array) => number;
  readonly maxBytes: number;
  /** May write a line about it. */
  readonly onGapOver: (gap: Gap) => void;
}): LogOutput {
  const { write, maxBytes, onGapOver } = options;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let gap: { lines: number; readonly since: Date } | undefined;
  let droppedLines = 0;
  /** A write in part means the same. */
  let error = 'EAGAIN';
  let retryMs = FIRST_RETRY_MS;
  let retrying = false;

  const tryToWrite = (text: string | Uint8Array): number => {
    try {
      return write(text);
    } catch (thrown) {
      error = (thrown as NodeJS.ErrnoException).code ?? String(thrown);
      return 0;
    }
  };

  const wait = (bytes: Buffer): void => {
    waiting.push(bytes);
    waitingBytes += bytes.length;
  };

  /** True when nothing is left. */
  const drain = (): boolean => {
    const before = waitingBytes;
    let done = 0;
    while (done < waiting.length) {
      const lines = waiting.slice(done, endOfBatch(waiting, done));
      const bytes = Buffer.concat(lines);
      const written = tryToWrite(bytes);
      waitingBytes -= written;
      done += lines.length;
      if (written < bytes.length) {
        // The rest of a line that was written in part goes first: no line is ever torn by another.
        waiting[--done] = bytes.subarray(written);
        break;
      }
    }
    waiting = waiting.slice(done);
    retryMs = waitingBytes < before ? FIRST_RETRY_MS : Math.min(2 * retryMs, LAST_RETRY_MS);
    if (waiting.length > 0) return false;
    if (gap !== undefined) {
      const over = { ...gap, error };
      gap = undefined;
      onGapOver(over);
    }
    return waiting.length === 0;
  };

  const retryLater = (): void => {
    if (retrying) return;
    retrying = true;
    // A log that cannot be written keeps no process; `finish` comes at its end.
    setTimeout(() => {
      retrying = false;
      if (!drain()) retryLater();
    }, retryMs).unref();
  };

  return {
    write(line) {
      if (waiting.length === 0) {
        const written = tryToWrite(line);
        if (written === Buffer.byteLength(line)) return;
        wait(Buffer.from(line).subarray(written));
        retryMs = FIRST_RETRY_MS;
        retryLater();
        return;
      }
      const bytes = Buffer.from(line);
      if (gap === undefined && waitingBytes + bytes.length <= maxBytes) {
        wait(bytes);
        return;
      }
      gap ??= { lines: 0, since: new Date() };
      gap.lines++;
      droppedLines++;
    },
    get droppedLines() {
      return droppedLines;
    },
    finish(forMs) {
      const until = performance.now() + forMs;
      // Only a reader may come in time: a full disk, or a reader that has gone, is not waited for.
      while (!drain() && error === 'EAGAIN' && performance.now() < until)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FIRST_RETRY_MS / 2);
    },
  };
}

function endOfBatch(lines: readonly Buffer[], start: number): number {
  let end = start;
  let bytes = 0;
  do bytes += lines[end++]?.length ?? 0;
  while (end < lines.length && bytes + (lines[end]?.length ?? 0) <= BATCH_BYTES);
  return end;
}

/**
 * Writes to standard output without ever waiting for its reader. Node's threads could wait in our stead, but one that
 * waits lets no process end. So a write must fail at once (EAGAIN), which is a property of the open pipe that all
 * share who have it open, and each Node process that ends sets it back: a pipe is opened anew, and so is a terminal,
 * which Ctrl-S stops. Where that is refused (a socket, a pipe of another user, a system without /proc) Node's own
 * stream sets the property when it is looked at. A file has no reader.
 */
export function standardOutput(): (text: string | Uint8Array) => number {
  const fd = openAnew() ?? process.stdout.fd;
  return (text) => (typeof text === 'string' ? writeSync(fd, text) : writeSync(fd, text));
}

function openAnew(): number | undefined {
  if (!fstatSync(1).isFIFO() && !isatty(1)) return undefined;
  try {
    return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}

export function countDroppedLines(registry: Registry, droppedLines: () => number): void {
  new Counter({
    name: 'imsync_log_lines_dropped_total',
    help: 'Log lines that were dropped because standard output could not be written.',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(droppedLines());
    },
  });
}
