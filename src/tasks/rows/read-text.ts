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
  readonly all: AsyncIterable<Uint8Array>;
  /** Bytes read so far, before unpacking; 0 for standard input. */
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
  const file = path === '-' ? undefined : createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const source = file ?? process.stdin;
  const input = bytesOf(source, (why) => `The input cannot be read any further: ${why}.`);
  // The first two bytes identify gzip. A pipe may deliver them one at a time.
  const packed = await readAhead(input, 2);
  const isGzip = packed.head[0] === 0x1f && packed.head[1] === 0x8b;
  const { head, all } = await readAhead(isGzip ? gunzip(packed.all) : packed.all, HEAD_BYTES);
  return {
    head,
    isGzip,
    all,
    get readBytes() {
      return file?.bytesRead ?? 0;
    },
    totalBytes,
    close: () => source.destroy(),
  };
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch((error: Error) => {
    throw new UnreadableRowsError(`${path} cannot be read: ${error.message}.`);
  });
  if (found.isDirectory()) throw new UnreadableRowsError(`${path} is a folder, not a file.`);
  return found.size;
}

/** Reads at least `bytes` ahead, or all there is: `head`. `all` begins with them. */
async function readAhead(
  source: AsyncIterable<Uint8Array>,
  bytes: number,
): Promise<{ head: Buffer; all: AsyncGenerator<Uint8Array> }> {
  const rest = source[Symbol.asyncIterator]();
  const parts: Uint8Array[] = [];
  for (let length = 0; length < bytes; length += parts.at(-1)?.length ?? 0) {
    const next = await rest.next();
    if (next.done === true) break;
    parts.push(next.value);
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* parts;
    yield* { [Symbol.asyncIterator]: () => rest };
  }
  return { head: Buffer.concat(parts), all: all() };
}

function gunzip(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unpacked = createGunzip({ chunkSize: CHUNK_BYTES });
  pipeline(Readable.from(packed), unpacked, () => undefined);
  return bytesOf(
    unpacked,
    (why) => `The gzip data is damaged or cut off: ${why}. Test it with gzip -t, and fetch the file again.`,
  );
}

/** The bytes of a stream. Its error becomes an UnreadableRowsError with this sentence, unless it is one. */
async function* bytesOf(stream: Readable, sentence: (why: string) => string): AsyncGenerator<Uint8Array> {
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (error) {
    if (error instanceof UnreadableRowsError) throw error;
    throw new UnreadableRowsError(sentence((error as Error).message));
  }
}

/** Encodings that a file may have. */
export const ENCODINGS = ['utf-8', 'gbk', 'gb18030', 'utf-16le'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/**
 * Finds the encoding of a file from its first bytes. A byte order mark decides, else `asked`, else the zeros of
 * UTF-16, else UTF-8 when these bytes are valid UTF-8. Otherwise throws UnreadableRowsError, since a wrong guess would spoil every
 * nick. Pure.
 */
export function encodingOf(head: Uint8Array, asked: Encoding | undefined): Encoding {
  const marked = markedEncoding(head);
  if (marked !== undefined && asked !== undefined && asked !== marked)
    throw new UnreadableRowsError(
      `The file begins with the byte order mark of ${marked}, but --encoding says ${asked}. Leave --encoding out.`,
    );
  const certain = marked ?? asked;
  if (certain !== undefined) return certain;
  if (isUtf16WithoutMark(head)) return 'utf-16le';
  if (canBe('utf-8', head)) return 'utf-8';
  const text = decoderOf('utf-8').decode(head);
  const line = text.slice(0, text.indexOf('\uFFFD')).split('\n').length;
  const hint = canBe('gb18030', head)
    ? 'It could be GBK: try --encoding gbk, and look at the names with --dry-run.'
    : 'Give its --encoding, or convert it first: iconv -f ENCODING -t utf-8. Excel in Europe writes windows-1252.';
  throw new UnreadableRowsError(`The file is not UTF-8: line ${line} holds invalid bytes. ${hint}`);
}

const BIG_ENDIAN =
  'The file is UTF-16, big endian, which this program does not read. Convert it: iconv -f utf-16be -t utf-8.';

/** The encoding that a byte order mark names. */
function markedEncoding(head: Uint8Array): Encoding | undefined {
  const mark = Buffer.from(head.subarray(0, 3)).toString('hex');
  if (mark === 'efbbbf') return 'utf-8';
  if (mark.startsWith('fffe')) return 'utf-16le';
  if (mark.startsWith('feff')) throw new UnreadableRowsError(BIG_ENDIAN);
  return undefined;
}

const SAMPLE_BYTES = 4_096;

/**
 * UTF-16 of a text with some ASCII has zeros in every other byte: in the second of each two if it is little
 * endian. Throws for big endian.
 */
function isUtf16WithoutMark(head: Uint8Array): boolean {
  const sample = head.subarray(0, SAMPLE_BYTES);
  const zeros = [0, 0];
  sample.forEach((byte, at) => {
    if (byte === 0) zeros[at % 2] = (zeros[at % 2] ?? 0) + 1;
  });
  const [even = 0, odd = 0] = zeros;
  const isMany = (count: number): boolean => count > 1 && count > sample.length / 20;
  if (isMany(even) && odd === 0) throw new UnreadableRowsError(BIG_ENDIAN);
  return isMany(odd) && even === 0;
}

/** Whether the bytes are valid. A character that is cut off at the end counts as valid. */
function canBe(encoding: Encoding, head: Uint8Array): boolean {
  try {
    decoderOf(encoding, true).decode(head, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/** GB18030 contains GBK. */
function decoderOf(encoding: Encoding, fatal = false) {
  return new TextDecoder(encoding === 'gbk' ? 'gb18030' : encoding, { fatal });
}

/**
 * Decodes the text, without its byte order mark. Bytes that cannot be decoded become U+FFFD, which no valid
 * row contains.
 */
export async function* decoded(bytes: AsyncIterable<Uint8Array>, encoding: Encoding): AsyncGenerator<string> {
  const decoder = decoderOf(encoding);
  for await (const chunk of bytes) yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}
