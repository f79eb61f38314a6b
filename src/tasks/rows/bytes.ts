import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { UnreadableRowsError } from './row.ts';

/** A file or standard input, unpacked if it is gzip. */
export interface Bytes {
  /** The first bytes, unpacked: 64 KiB, or all there are. */
  readonly head: Buffer;
  readonly isGzip: boolean;
  /** All bytes, `head` included, unpacked. To be read once. */
  all(): AsyncIterable<Uint8Array>;
  /** Bytes read so far, as they come (packed). */
  readonly readBytes: number;
  /** Undefined for standard input. */
  readonly totalBytes: number | undefined;
  close(): void;
}

const HEAD_BYTES = 65_536;
const CHUNK_BYTES = 262_144;

/** `-` is standard input. Throws UnreadableRowsError for a file that cannot be read. */
export async function openBytes(path: string): Promise<Bytes> {
  const totalBytes = path === '-' ? undefined : await sizeOf(path);
  const source: Readable =
    path === '-' ? process.stdin : createReadStream(path, { highWaterMark: CHUNK_BYTES });
  let readBytes = 0;
  const packed = counted(source, (bytes) => {
    readBytes += bytes;
  });
  // Two bytes tell gzip, and a pipe may give one at a time.
  const begin = await take(packed, 2);
  const isGzip = begin[0] === 0x1f && begin[1] === 0x8b;
  const plain = isGzip ? gunzip(chain(begin, packed)) : chain(begin, packed);
  const bytes = plain[Symbol.asyncIterator]();
  const head = await take(bytes, HEAD_BYTES);
  return {
    head,
    isGzip,
    all: () => chain(head, bytes),
    get readBytes() {
      return readBytes;
    },
    totalBytes,
    close: () => source.destroy(),
  };
}

async function sizeOf(path: string): Promise<number> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw new UnreadableRowsError(`${path} is a folder, not a file.`);
    return found.size;
  } catch (error) {
    if (error instanceof UnreadableRowsError) throw error;
    throw new UnreadableRowsError(`${path} cannot be read: ${(error as Error).message}.`);
  }
}

async function* counted(source: Readable, onBytes: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      onBytes(chunk.length);
      yield chunk;
    }
  } catch (error) {
    throw new UnreadableRowsError(`The input cannot be read any further: ${(error as Error).message}.`);
  }
}

/** At least `bytes` from the iterator, or all there is. */
async function take(from: AsyncIterator<Uint8Array>, bytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  while (length < bytes) {
    const next = await from.next();
    if (next.done === true) break;
    parts.push(next.value);
    length += next.value.length;
  }
  return Buffer.concat(parts);
}

async function* chain(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  for (;;) {
    const next = await rest.next();
    if (next.done === true) return;
    yield next.value;
  }
}

async function* gunzip(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unpacked = createGunzip({ chunkSize: CHUNK_BYTES });
  pipeline(Readable.from(packed), unpacked, () => undefined);
  try {
    yield* unpacked as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (error instanceof UnreadableRowsError) throw error;
    throw new UnreadableRowsError(
      `The gzip data is damaged or cut off: ${(error as Error).message}. Look at it with gzip -t, and fetch it anew.`,
    );
  }
}
