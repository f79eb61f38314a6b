import { Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { oneWritePerTurn } from '../../../src/redis/connect.ts';

/** A socket that remembers what each of its writes held. */
function socket(): { readonly stream: Writable; readonly writes: string[] } {
  const writes: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      writes.push(String(chunk));
      done();
    },
    writev(chunks, done) {
      writes.push(chunks.map(({ chunk }) => String(chunk)).join(''));
      done();
    },
  });
  oneWritePerTurn(stream);
  return { stream, writes };
}

it('sends all writes of one turn of the event loop together at its end', async () => {
  const { stream, writes } = socket();
  for (const word of ['a', 'b', 'c']) stream.write(word);
  expect(writes).toEqual([]);
  await turn();
  expect(writes).toEqual(['abc']);
  stream.write('d');
  await turn();
  stream.write('e');
  stream.write('f');
  await turn();
  expect(writes).toEqual(['abc', 'd', 'ef']);
});

it('corks the socket once per turn', async () => {
  const { stream } = socket();
  let stops = 0;
  const cork = stream.cork;
  stream.cork = () => {
    stops++;
    cork.call(stream);
  };
  for (let i = 0; i < 10; i++) stream.write('a');
  expect(stops).toBe(1);
  await turn();
});

it('keeps the return value and the callback of a write', async () => {
  const { stream } = socket();
  let told = false;
  expect(
    stream.write('a', () => {
      told = true;
    }),
  ).toBe(true);
  expect(stream.write('x'.repeat(1_000_000))).toBe(false);
  await turn();
  await turn();
  expect(told).toBe(true);
});
