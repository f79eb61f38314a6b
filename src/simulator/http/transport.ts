import type { ServerResponse } from 'node:http';

const JSON_TYPE = 'application/json; charset=utf-8';

export function sendJson(response: ServerResponse, text: string, status = 200): void {
  response.writeHead(status, { 'Content-Type': JSON_TYPE, 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

/** An answer as a gateway in front of the service gives it: the status, a page of HTML, no verdict. */
export function sendGatewayPage(response: ServerResponse, status: number, retryAfterSeconds?: number): void {
  const html = `<html><head><title>${status}</title></head><body><h1>${status}</h1><hr>gateway</body></html>\n`;
  response.writeHead(status, {
    'Content-Type': 'text/html',
    'Content-Length': Buffer.byteLength(html),
    ...(retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }),
  });
  response.end(html);
}

/** HTTP 200 and JSON's content type, but not JSON. */
export function sendGarbage(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'Content-Type': JSON_TYPE, 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

/** Promises the whole text, sends half of it and closes the connection. */
export function sendHalf(response: ServerResponse, text: string): void {
  const bytes = Buffer.from(text);
  response.writeHead(200, { 'Content-Type': JSON_TYPE, 'Content-Length': bytes.length });
  // Destroyed only when the half is out, or the client might see no answer at all.
  response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy());
}

/** TCP RST. */
export function resetConnection(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}

/** The body was larger than the simulator reads. */
export function sendTooLarge(response: ServerResponse, maxBytes: number): void {
  sendJson(response, JSON.stringify({ error: `The body is larger than ${maxBytes} bytes.` }), 413);
}
