import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

const LINES_PER_CHUNK = 200;

/**
 * Streams one JSON line for each value, no faster than the client reads, and lets the calls of the API
 * have their turn between chunks.
 */
export function sendLines(response: ServerResponse, values: Iterable<object>): void {
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
  const lines = Readable.from(chunksOf(values), { objectMode: false });
  response.on('close', () => lines.destroy());
  lines.pipe(response);
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
