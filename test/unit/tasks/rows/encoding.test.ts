import { encodingOf, toUtf8 } from '../../../../src/tasks/rows/encoding.ts';

/** 小明 in GBK. */
const GBK = Buffer.from([0xd0, 0xa1, 0xc3, 0xf7]);

async function decoded(
  bytes: Buffer,
  size: number,
  asked?: Parameters<typeof encodingOf>[1],
): Promise<string> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const parts: Buffer[] = [];
  for await (const part of toUtf8(chunks(), encodingOf(bytes, asked))) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

test.each([1, 2, 3, 100])(
  'in pieces of %i bytes: UTF-8, with its mark and without, UTF-16, GBK',
  async (size) => {
    const text = 'id,nick\nu1,小明😀\n';
    expect(await decoded(Buffer.from(text), size)).toBe(text);
    expect(await decoded(Buffer.from(`\uFEFF${text}`), size)).toBe(text);
    expect(await decoded(Buffer.from(`\uFEFF${text}`, 'utf16le'), size)).toBe(text);
    expect(await decoded(Buffer.concat([Buffer.from('u1,'), GBK]), size, 'gbk')).toBe('u1,小明');
  },
);

test('bytes that are not UTF-8 are said with their line, and GBK is named when it would do', () => {
  const head = Buffer.concat([Buffer.from('id,nick\nu1,Ann\nu2,'), GBK, Buffer.from('\n')]);
  expect(() => encodingOf(head, undefined)).toThrow(/not UTF-8: line 3 .*--encoding gbk/);
  expect(() => encodingOf(Buffer.from([0x41, 0xff, 0xff, 0x0a]), undefined)).toThrow(/Say its --encoding/);
});

test('a character that the head cuts off is not held against the file', () => {
  const head = Buffer.from('u1,小明').subarray(0, -1);
  expect(encodingOf(head, undefined)).toEqual({ encoding: 'utf-8', bomBytes: 0 });
});

test('a mark and --encoding that do not agree', () => {
  expect(() => encodingOf(Buffer.from('\uFEFFid'), 'gbk')).toThrow('Leave --encoding out');
  expect(encodingOf(Buffer.from('\uFEFFid'), 'utf-8').bomBytes).toBe(3);
  expect(() => encodingOf(Buffer.from([0xfe, 0xff, 0, 0x41]), undefined)).toThrow('big endian');
});
