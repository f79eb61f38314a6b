import { decoded, encodingOf } from '../../../../src/tasks/rows/read-text.ts';

/** 小明 in GBK. */
const GBK = Buffer.from([0xd0, 0xa1, 0xc3, 0xf7]);

async function decodedText(
  bytes: Buffer,
  size: number,
  asked?: Parameters<typeof encodingOf>[1],
): Promise<string> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const parts: string[] = [];
  for await (const part of decoded(chunks(), encodingOf(bytes, asked))) parts.push(part);
  return parts.join('');
}

test.each([1, 2, 3, 100])(
  'decodes UTF-8 with and without a byte order mark, UTF-16 and GBK in pieces of %i bytes',
  async (size) => {
    const text = 'id,nick\nu1,小明😀\n';
    expect(await decodedText(Buffer.from(text), size)).toBe(text);
    expect(await decodedText(Buffer.from(`\uFEFF${text}`), size)).toBe(text);
    expect(await decodedText(Buffer.from(`\uFEFF${text}`, 'utf16le'), size)).toBe(text);
    expect(await decodedText(Buffer.concat([Buffer.from('u1,'), GBK]), size, 'gbk')).toBe('u1,小明');
  },
);

test('names the line of bytes that are not UTF-8, and suggests GBK when they could be GBK', () => {
  const head = Buffer.concat([Buffer.from('id,nick\nu1,Ann\nu2,'), GBK, Buffer.from('\n')]);
  expect(() => encodingOf(head, undefined)).toThrow(/not UTF-8: line 3 .*--encoding gbk/);
  expect(() => encodingOf(Buffer.from([0x41, 0xff, 0xff, 0x0a]), undefined)).toThrow(/Give its --encoding/);
});

test('accepts a character that is cut off at the end of the head', () => {
  const head = Buffer.from('u1,小明').subarray(0, -1);
  expect(encodingOf(head, undefined)).toBe('utf-8');
});

test('refuses a byte order mark that contradicts --encoding, and UTF-16 big endian', () => {
  expect(() => encodingOf(Buffer.from('\uFEFFid'), 'gbk')).toThrow('Leave --encoding out');
  expect(encodingOf(Buffer.from('\uFEFFid'), 'utf-8')).toBe('utf-8');
  expect(() => encodingOf(Buffer.from([0xfe, 0xff, 0, 0x41]), undefined)).toThrow('big endian');
});
