import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

const JSON_TYPE = 'application/json; charset=utf-8';
const LINES_PER_CHUNK = 200;
/** A body this many times over the limit is cut off. The client of a smaller one can read the refusal. */
const CUT_OFF_FACTOR = 16;

export type BodyText =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'too-large' }
  /** The client closed the connection before the end, or was cut off. */
  | { readonly kind: 'aborted' };

/** Reads a request's body as UTF-8 and keeps at most `maxBytes` of it. Never rejects. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<BodyText> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes <= maxBytes) chunks.push(chunk);
      else if (bytes > maxBytes * CUT_OFF_FACTOR) return { kind: 'aborted' };
    }
  } catch {
    return { kind: 'aborted' };
  }
  return bytes > maxBytes ? { kind: 'too-large' } : { kind: 'text', text: Buffer.concat(chunks).toString() };
}

/** `text` need not be JSON: a scenario may ask for garbage. */
export function sendJson(response: ServerResponse, text: string, status = 200): void {
  response.writeHead(status, { 'Content-Type': JSON_TYPE, 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

/** Answers as a gateway in front of the service does: a status and an HTML page, no ErrorCode. */
export function sendGatewayPage(response: ServerResponse, status: number, retryAfterSeconds?: number): void {
  const html = `<html><head><title>${status}</title></head><body><h1>${status}</h1><hr>gateway</body></html>\n`;
  response.writeHead(status, {
    'Content-Type': 'text/html',
    'Content-Length': Buffer.byteLength(html),
    ...(retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }),
  });
  response.end(html);
}

/** Announces the length of the whole text, sends half of it and closes the connection. */
export function sendHalf(response: ServerResponse, text: string): void {
  const bytes = Buffer.from(text);
  response.writeHead(200, { 'Content-Type': JSON_TYPE, 'Content-Length': bytes.length });
  // Destroyed after the half is written: earlier, the client might see no answer at all.
  response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy());
}

/** Answers 413 to a body that is larger than the simulator reads. */
export function sendTooLarge(response: ServerResponse, maxBytes: number): void {
  sendJson(response, JSON.stringify({ error: `The body is larger than ${maxBytes} bytes.` }), 413);
}

/**
 * Streams one JSON line for each value, no faster than the client reads.
 * Between chunks the event loop turns, so that API calls are not delayed.
 */
export function sendLines(response: ServerResponse, values: Iterable<object>): void {
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
  // A client that leaves ends the stream; nobody waits for it.
  pipeline(Readable.from(chunksOf(values), { objectMode: false }), response, () => undefined);
}

async function* chunksOf(values: Iterable<object>): AsyncGenerator<string> {
  let chunk = '';
  let count = 0;
  for (const value of values) {
    chunk += `${JSON.stringify(value)}\n`;
    count += 1;
    if (count % LINES_PER_CHUNK !== 0) continue;
    yield chunk;
    chunk = '';
    await nextTurn();
  }
  if (chunk !== '') yield chunk;
}
