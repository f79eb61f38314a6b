import type { Row } from '../../../../src/tasks/rows/columns.ts';
import { ndjsonRow, ndjsonRows } from '../../../../src/tasks/rows/open-rows.ts';
import { decoded } from '../../../../src/tasks/rows/read-text.ts';

async function rowsOf(text: string, size: number): Promise<Row[]> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const rows: Row[] = [];
  for await (const row of ndjsonRows(decoded(chunks(), 'utf-8'), {})) rows.push(row);
  return rows;
}

test('reads one object per line without blank lines, however the text is cut into pieces', async () => {
  const text = '{"userId":"u1","nick":"小明"}\r\n\n{"user_id":"u2","avatar":"https://a/b.png"}';
  for (const size of [1, 4, 1_000])
    expect((await rowsOf(text, size)).map(({ line, user }) => [line, user])).toEqual([
      [1, { userId: 'u1', nick: '小明' }],
      [3, { userId: 'u2', faceUrl: 'https://a/b.png' }],
    ]);
});

test('reports a line that is no JSON object', () => {
  expect(ndjsonRow(1, '{"userId":', {}).problem).toContain('the line is not JSON');
  for (const content of ['[1]', '"a"', 'null', '7']) {
    expect(ndjsonRow(1, content, {}).problem).toBe('the line is not a JSON object');
  }
});

test('prefers a mapped key to the own name and the aliases', () => {
  const content = '{"userId":"a","uid":"b","name":"n","nick":"k"}';
  expect(ndjsonRow(1, content, {}).user).toEqual({ userId: 'a', nick: 'k' });
  expect(ndjsonRow(1, content, { userId: 'uid', nick: 'name' }).user).toEqual({ userId: 'b', nick: 'n' });
});

test('keeps the types of values, so that validation sees a number as userId', () => {
  expect(ndjsonRow(1, '{"userId":12345678901234567890}', {}).user.userId).toBe(12345678901234567000);
});

test('refuses a line of more than a million characters', async () => {
  await expect(rowsOf(`[${'"x",'.repeat(300_000)}`, 100_000)).rejects.toThrow(/Line 1 is longer.*jq/);
});
