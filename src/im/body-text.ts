import { TextDecoder } from 'node:util';
import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib';
import type { Headers } from './answers.ts';

const UTF8_BOM = Buffer.from([0xef, 0xbb, 0xbf]);
/** Bytes of an unreadable body that are shown. */
const SHOWN_BYTES = 16;
/** What no text holds: control characters but white space, and bytes that no decoder knew. */
const foreign = /[^\P{Cc}\s]|\uFFFD/gu;
const LOOKED_AT_CHARS = 300;

/**
 * The text of a body, which gateways may have packed or encoded again. Nothing was asked to be packed, but what
 * is can be read without doubt. A body that cannot be read becomes a few words about it, which are no JSON.
 * `maxBytes` bounds what it may unpack to.
 */
export function bodyText(body: Buffer, headers: Headers, maxBytes: number): string {
  try {
    const plain = unpacked(body, String(headers['content-encoding'] ?? ''), maxBytes);
    const text = decoded(plain, String(headers['content-type'] ?? ''));
    return isText(text) ? text : unreadable(body, 'no text');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    return unreadable(
      body,
      code === 'ERR_BUFFER_TOO_LARGE' ? `more than ${maxBytes} bytes unpacked` : 'damaged',
    );
  }
}

/** Undoes the encodings of the header, last one first. A gateway may also pack and not say so. */
function unpacked(body: Buffer, encodings: string, maxOutputLength: number): Buffer {
  const options = { maxOutputLength };
  let plain = body;
  for (const encoding of encodings.toLowerCase().split(',').reverse()) {
    if (plain.length === 0) return plain;
    switch (encoding.trim()) {
      case 'gzip':
      case 'x-gzip':
        // Some gateways unpack and leave the header.
        if (isGzip(plain)) plain = gunzipSync(plain, options);
        break;
      case 'deflate':
        // By the standard zlib's form; some servers send the bare stream.
        plain = isZlib(plain)
          ? inflateSync(plain, options)
          : unlessJson(plain, () => inflateRawSync(plain, options));
        break;
      case 'br':
        plain = unlessJson(plain, () => brotliDecompressSync(plain, options));
        break;
      default:
        break;
    }
  }
  return isGzip(plain) ? gunzipSync(plain, options) : plain;
}

function isGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** The first two bytes of zlib's form are a multiple of 31 (RFC 1950). */
function isZlib(bytes: Buffer): boolean {
  return bytes.length > 2 && (bytes[0] ?? 0) % 16 === 8 && bytes.readUInt16BE(0) % 31 === 0;
}

function unlessJson(bytes: Buffer, unpack: () => Buffer): Buffer {
  return /^\s*[{<]/.test(bytes.toString('latin1', 0, 20)) ? bytes : unpack();
}

/** By the byte order mark, else by the charset that the header names, else UTF-8. */
function decoded(bytes: Buffer, contentType: string): string {
  const charset = /charset\s*=\s*"?([\w.:-]+)/i.exec(contentType)?.[1] ?? 'utf-8';
  return decoderFor(bytes, charset)
    .decode(bytes)
    .replace(/[\0\s]+$/, '');
}

function decoderFor(bytes: Buffer, charset: string): TextDecoder {
  if (bytes.subarray(0, 3).equals(UTF8_BOM)) return new TextDecoder();
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le');
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be');
  try {
    return new TextDecoder(charset);
  } catch {
    // A charset that nobody knows.
    return new TextDecoder();
  }
}

function isText(text: string): boolean {
  const start = text.slice(0, LOOKED_AT_CHARS);
  return 10 * (start.match(foreign) ?? []).length <= start.length;
}

function unreadable(body: Buffer, why: string): string {
  const start = body.subarray(0, SHOWN_BYTES).toString('hex').replace(/../g, '$& ').trim();
  return `(${body.length} bytes that cannot be read, ${why}: ${start}${body.length > SHOWN_BYTES ? ' …' : ''})`;
}
