import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { isNativeError } from 'node:util/types';
import { CliError, EXIT } from '../fail.ts';

/** The destination of long output. */
export interface Output {
  /**
   * Waits while the reader is slow. False when the reader has gone (`| head`): then stop without an error.
   */
  write(text: string): Promise<boolean>;
}

export function standardOutput(): Output {
  return outputTo(process.stdout);
}

function outputTo(stream: Writable): Output {
  let closed = false;
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  stream.on('drain', () => wake?.());
  stream.on('close', () => {
    closed = true;
    wake?.();
  });
  stream.on('error', (error: NodeJS.ErrnoException) => {
    closed = true;
    if (error.code !== 'EPIPE') failure = error;
    wake?.();
  });
  return {
    async write(text) {
      if (!closed && !stream.write(text)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (failure !== undefined) throw failure;
      return !closed;
    },
  };
}

/**
 * Writes a file that appears complete or not at all. Only its owner can read it, because letters hold users'
 * data. An existing file is replaced.
 */
export async function writeFileWhole(path: string, work: (output: Output) => Promise<void>): Promise<void> {
  const unfinished = `${path}.unfinished-${process.pid}`;
  const stream = createWriteStream(unfinished, { mode: 0o600, flags: 'wx' });
  try {
    await once(stream, 'open');
    await work(outputTo(stream));
    stream.end();
    await once(stream, 'close');
    await rename(unfinished, path);
  } catch (error) {
    stream.destroy();
    await rm(unfinished, { force: true });
    if (isNativeError(error) && 'syscall' in error && 'path' in error)
      throw new CliError(
        EXIT.failed,
        `${path} cannot be written: ${error.message}. Choose another file with --output.`,
      );
    throw error;
  }
}
