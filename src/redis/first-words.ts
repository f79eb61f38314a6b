import { connect as netConnect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { RedisOptions } from 'ioredis';

const WAIT_MS = 500;
const MAX_CHARS = 300;

/**
 * What a Redis says to who only listens; '' if nothing. One that takes no more connections, or only local
 * ones, says so and closes, and so does one that misses a client certificate. A client that writes meanwhile
 * sees a broken connection instead. Never rejects.
 */
export function firstWords({ host = '', port, path, tls }: RedisOptions): Promise<string> {
  const to = path ? { path } : { host, port: port ?? 6379 };
  const socket = tls ? tlsConnect({ ...to, ...tls }) : netConnect(to);
  return new Promise((resolve) => {
    const end = (words: string): void => {
      socket.destroy();
      resolve(words);
    };
    socket.setTimeout(WAIT_MS, () => end(''));
    socket.once('data', (data) => {
      const [line = ''] = data.toString('utf8', 0, MAX_CHARS).split('\r\n');
      end(line.startsWith('-') ? line.slice(1) : '');
    });
    socket.on('error', ({ message }) => end(message));
    socket.once('close', () => end(''));
  });
}
