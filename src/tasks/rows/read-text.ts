import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

/** The file cannot be read as what it should be. The message says where, and what to do. */
export class UnreadableRowsError extends Error {
  override readonly name = 'UnreadableRowsError';
}

/** A file or standard input, unpacked if it is gzip. */
export interface Bytes {
  /** The first bytes, unpacked: 64 KiB, or all there are. */
  readonly head: Buffer;
  readonly isGzip: boolean;
  /** All bytes, unpacked, `head` included. Can be read once. */
  all(): AsyncIterable<Uint8Array>;
  /** Bytes read so far, before unpacking. */
  readonly readBytes: number;
  /** Undefined for standard input. */
  readonly totalBytes: number | undefined;
  close(): void;
}

const HEAD_BYTES = 65_536;
const CHUNK_BYTES = 262_144;

/** Opens a file; `-` is standard input. Throws UnreadableRowsError for a file that cannot be read. */
export async function openBytes(path: string): Promise<Bytes> {
  const totalBytes = path === '-' ? undefined : await sizeOf(path);
  const source: Readable =
    path === '-' ? process.stdin : createReadStream(path, { highWaterMark: CHUNK_BYTES });
  let readBytes = 0;
  const packed = counted(source, (bytes) => {
    readBytes += bytes;
  });
  // The first two bytes identify gzip. A pipe may deliver them one at a time.
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
      `The gzip data is damaged or cut off: ${(error as Error).message}. Test it with gzip -t, and fetch the file again.`,
    );
  }
}

/** Encodings that a file may have. GBK is read as GB18030, which contains it. */
export const ENCODINGS = ['utf-8', 'gbk', 'gb18030', 'utf-16le'] as const;
export type Encoding = (typeof ENCODINGS)[number];

export interface FoundEncoding {
  readonly encoding: Encoding;
  /** Bytes of a byte order mark, which do not belong to the text. */
  readonly bomBytes: number;
}

/**
 * Finds the encoding of a file from its first bytes. A byte order mark decides, else `asked`, else UTF-8 when
 * these bytes are valid UTF-8. Otherwise throws UnreadableRowsError, since a wrong guess would spoil every
 * nick. Pure.
 */
export function encodingOf(head: Uint8Array, asked: Encoding | undefined): FoundEncoding {
  const bom = bomOf(head);
  if (bom !== undefined) {
    if (asked !== undefined && asked !== bom.encoding)
      throw new UnreadableRowsError(
        `The file begins with the byte order mark of ${bom.encoding}, but --encoding says ${asked}. Leave --encoding out.`,
      );
    return bom;
  }
  if (asked !== undefined) return { encoding: asked, bomBytes: 0 };
  const bad = firstBadUtf8(head);
  if (bad === undefined) return { encoding: 'utf-8', bomBytes: 0 };
  const hint = decodes(head, 'gb18030')
    ? 'It could be GBK: try --encoding gbk, and look at the names with --dry-run.'
    : 'Give its --encoding, or convert it first: iconv -f ENCODING -t utf-8.';
  throw new UnreadableRowsError(`The file is not UTF-8: line ${bad} holds invalid bytes. ${hint}`);
}

function bomOf(head: Uint8Array): FoundEncoding | undefined {
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return { encoding: 'utf-8', bomBytes: 3 };
  if (head[0] === 0xff && head[1] === 0xfe) return { encoding: 'utf-16le', bomBytes: 2 };
  if (head[0] === 0xfe && head[1] === 0xff)
    throw new UnreadableRowsError(
      'The file is UTF-16, big endian, which this program does not read. Convert it: iconv -f utf-16 -t utf-8.',
    );
  return undefined;
}

/**
 * The line of the first bytes that are not UTF-8; undefined when all are. A character cut off at the end
 * counts as valid.
 */
function firstBadUtf8(head: Uint8Array): number | undefined {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 1;
  for (let from = 0; from < head.length; ) {
    const newline = head.indexOf(0x0a, from);
    const to = newline < 0 ? head.length : newline + 1;
    try {
      decoder.decode(head.subarray(from, to), { stream: true });
    } catch {
      return line;
    }
    line++;
    from = to;
  }
  return undefined;
}

function decodes(head: Uint8Array, encoding: string): boolean {
  try {
    new TextDecoder(encoding, { fatal: true }).decode(head, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/** Converts the text to UTF-8. Bytes that cannot be decoded become U+FFFD, which no valid row contains. */
export async function* toUtf8(
  bytes: AsyncIterable<Uint8Array>,
  { encoding, bomBytes }: FoundEncoding,
): AsyncGenerator<Buffer> {
  const decoder =
    encoding === 'utf-8' ? undefined : new TextDecoder(encoding === 'gbk' ? 'gb18030' : encoding);
  let skip = bomBytes;
  for await (const chunk of bytes) {
    const text = chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
    if (decoder === undefined) yield Buffer.from(text.buffer, text.byteOffset, text.length);
    else yield Buffer.from(decoder.decode(text, { stream: true }));
  }
  const rest = decoder?.decode() ?? '';
  if (rest !== '') yield Buffer.from(rest);
}
