import { UnreadableRowsError } from './row.ts';

/** Encodings that a file may be in. GBK is read as GB18030, which contains it. */
export const ENCODINGS = ['utf-8', 'gbk', 'gb18030', 'utf-16le'] as const;
export type Encoding = (typeof ENCODINGS)[number];

export interface FoundEncoding {
  readonly encoding: Encoding;
  /** Bytes of a byte order mark, which are no part of the text. */
  readonly bomBytes: number;
}

/**
 * The encoding of a file by its first bytes: by its byte order mark; else as `asked`; else UTF-8, which must then
 * hold for these bytes. Throws UnreadableRowsError otherwise, since a wrong guess would spoil every nick. Pure.
 */
export function encodingOf(head: Uint8Array, asked: Encoding | undefined): FoundEncoding {
  const bom = bomOf(head);
  if (bom !== undefined) {
    if (asked !== undefined && asked !== bom.encoding)
      throw new UnreadableRowsError(
        `The file begins with the mark of ${bom.encoding}, but --encoding says ${asked}. Leave --encoding out.`,
      );
    return bom;
  }
  if (asked !== undefined) return { encoding: asked, bomBytes: 0 };
  const bad = firstBadUtf8(head);
  if (bad === undefined) return { encoding: 'utf-8', bomBytes: 0 };
  const hint = decodes(head, 'gb18030')
    ? 'It would read as GBK: try --encoding gbk, and look at the names with --dry-run.'
    : 'Say its --encoding, or convert it first: iconv -f ENCODING -t utf-8.';
  throw new UnreadableRowsError(`The file is not UTF-8: line ${bad} holds bytes that are none. ${hint}`);
}

function bomOf(head: Uint8Array): FoundEncoding | undefined {
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return { encoding: 'utf-8', bomBytes: 3 };
  if (head[0] === 0xff && head[1] === 0xfe) return { encoding: 'utf-16le', bomBytes: 2 };
  if (head[0] === 0xfe && head[1] === 0xff)
    throw new UnreadableRowsError(
      'The file is UTF-16, big endian, which is not read here. Convert it: iconv -f utf-16 -t utf-8.',
    );
  return undefined;
}

/** The line of the first bytes that are not UTF-8; undefined when all are. A character cut off at the end counts as good. */
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

/** The text's bytes in UTF-8, whatever they were. What cannot be decoded becomes U+FFFD, which no row may hold. */
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
