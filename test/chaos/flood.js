/**
 * Many producers that connect, add one event and connect again, for ever: `node flood.js PORT COUNT STREAM`. The
 * stream is not the workers' one. Once it has as many connections as it can get it writes a line.
 */
import { connect } from 'node:net';

const [port = '0', count = '0', stream = ''] = process.argv.slice(2);
const words = ['XADD', stream, 'MAXLEN', '~', '1000', '*', 'userId', 'u'];
const add = `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
/** A producer stays for so long before it connects again. */
const STAYS_MS = 3_000;
let answers = 0;

function produce() {
  const socket = connect({ port: Number(port), host: '127.0.0.1' });
  const again = () => setTimeout(produce, STAYS_MS * Math.random());
  socket.on('connect', () => socket.write(add));
  socket.on('data', () => {
    answers++;
    if (answers === Number(count)) process.stdout.write('all have been here\n');
    setTimeout(() => socket.end(), STAYS_MS * Math.random());
  });
  socket.on('error', () => undefined);
  socket.once('close', again);
}

for (let i = 0; i < Number(count); i++) produce();
