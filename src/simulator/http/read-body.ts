import type { IncomingMessage } from 'node:http';

export type BodyText =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'too-large' }
  /** The client went away before the end. */
  | { readonly kind: 'aborted' };

/** Past this many times the limit a client is cut off; up to there it can read why it was refused. */
const PATIENCE = 16;

/** Reads a request's body as UTF-8, keeping at most `maxBytes` of it. Never rejects. */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<BodyText> {
  return new Promise((resolve) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      chunks = [];
      if (bytes > maxBytes * PATIENCE) request.destroy();
    });
    request.on('end', () => {
      if (bytes > maxBytes) {
        resolve({ kind: 'too-large' });
        return;
      }
      const only = chunks.length === 1 ? chunks[0] : undefined;
      resolve({ kind: 'text', text: (only ?? Buffer.concat(chunks, bytes)).toString('utf8') });
    });
    request.on('error', () => resolve({ kind: 'aborted' }));
    request.on('close', () => resolve({ kind: 'aborted' }));
  });
}
