import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';

const LINES_PER_CHUNK = 1000;

/** Streams one JSON line for each value, no faster than the client reads. */
export function sendLines(response: ServerResponse, values: Iterable<object>): void {
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
  const lines = Readable.from(chunksOf(values), { objectMode: false });
  response.on('close', () => lines.destroy());
  lines.pipe(response);
}

function* chunksOf(values: Iterable<object>): Generator<string> {
  let chunk = '';
  let count = 0;
  for (const value of values) {
    chunk += `${JSON.stringify(value)}\n`;
    count += 1;
    if (count % LINES_PER_CHUNK !== 0) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk !== '') yield chunk;
}
