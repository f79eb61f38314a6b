import type { FieldMap } from '../../../../src/tasks/rows/columns.ts';
import { csvCells, csvRow, delimiterOf, readDelimiter } from '../../../../src/tasks/rows/csv-rows.ts';
import { decoded } from '../../../../src/tasks/rows/read-text.ts';

async function* chunks(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function cellsOf(text: string, options: { delimiter?: string; quotes?: boolean; size?: number } = {}) {
  const { delimiter = ',', quotes = true, size = 7 } = options;
  const found: [number, ...string[]][] = [];
  const pieces = decoded(chunks(text, size), 'utf-8');
  for await (const { line, cells } of csvCells(pieces, { delimiter, quotes })) found.push([line, ...cells]);
  return found;
}

const columns: FieldMap<number> = new Map([
  ['userId', 0],
  ['nick', 1],
]);
const row = (...cells: string[]) =>
  csvRow({ line: 2, breaks: cells.join('').split('\n').length - 1, cells }, columns, 3);

describe('cells', () => {
  test.each(['\n', '\r\n', '\r'])('a line ends in %j; the last one may lack it', async (end) => {
    const expected = [
      [1, 'a', 'b'],
      [2, 'c', 'd'],
    ];
    expect(await cellsOf(`a,b${end}c,d`)).toEqual(expected);
    expect(await cellsOf(`a,b${end}c,d${end}`)).toEqual(expected);
  });

  test('the pieces of the text make no difference, even inside a character', async () => {
    const text = 'id,nick\nu1,"小明, 小红"\nu2,😀\n';
    const whole = await cellsOf(text, { size: 10_000 });
    expect(whole).toEqual([
      [1, 'id', 'nick'],
      [2, 'u1', '小明, 小红'],
      [3, 'u2', '😀'],
    ]);
    for (const size of [1, 2, 3, 5]) expect(await cellsOf(text, { size })).toEqual(whole);
  });

  test('quotes: separators, doubled quotes, quotes in the middle of a cell', async () => {
    expect(await cellsOf('"a,b","say ""hi"""\n5" disk,Bob "The Man"\n')).toEqual([
      [1, 'a,b', 'say "hi"'],
      [2, '5" disk', 'Bob "The Man"'],
    ]);
    expect(await cellsOf('"a,b\n', { quotes: false })).toEqual([[1, '"a', 'b']]);
  });

  test('the line numbers count blank lines and line breaks in quotes', async () => {
    for (const end of ['\n', '\r\n'])
      expect(
        (await cellsOf(['a,b', '', '1,"x', 'y', 'z"', '2,b', '', '', '3,"p', 'q"', '4,d'].join(end))).map(
          ([line, id]) => [line, id],
        ),
      ).toEqual([
        [1, 'a'],
        [3, '1'],
        [6, '2'],
        [9, '3'],
        [11, '4'],
      ]);
  });

  test('the error names the line of a quote that is never closed', async () => {
    await expect(cellsOf('a,b\nc,d\n"e,f\ng,h\n')).rejects.toThrow(
      /A quote that opens at line 3 .*never closed.*--no-quotes/s,
    );
  });
});

describe('a row', () => {
  test('takes its fields by column, trims an ID and keeps the blanks around a name', () => {
    expect(row(' u1 ', ' Ann ', 'x')).toEqual({
      line: 2,
      user: { userId: 'u1', nick: ' Ann ' },
      raw: [' u1 ', ' Ann ', 'x'],
    });
  });

  test('reads ="…" as text and \\N as empty', () => {
    expect(row('="00123"', '\\N', '').user).toEqual({ userId: '00123', nick: '' });
    expect(row('u1', '="Ann"', '').user).toEqual({ userId: 'u1', nick: 'Ann' });
  });

  test('may lack an unused last column, but no used one, and has no cell too many', () => {
    expect(row('u1', 'Ann').problem).toBeUndefined();
    expect(row('u1').problem).toBe('1 cells where the header has 3');
    expect(row('u1', 'Ann', 'x', 'y').problem).toContain('4 cells where the header has 3: a cell that');
    expect(row('u1', 'Ann', 'x', '').problem).toContain('the row ends in a separator');
  });

  test('reports rows that an open quote has swallowed', () => {
    expect(row('u1', 'Ann\nu2,Bob\nu3,Cid', 'x').problem).toContain('this row and the next 2 lines');
    expect(row('u1', 'Ann', '"oops\nu2,Bob,"hello"').problem).toContain('this row and the next 1 lines');
    expect(row('u1', 'Ann,u1\nu2,"Bob', 'x').problem).toContain('this row and the next 1 lines');
    // A name may hold a line break, as long as no separator shows that rows were swallowed.
    expect(row('u1', 'Ann\nBob', 'x')).toMatchObject({ user: { nick: 'Ann\nBob' } });
    expect(row('u1', 'Ann\nBob', 'x').problem).toBeUndefined();
    expect(row('u1\n', 'Ann', 'x').problem).toContain('this row and the next 1 lines');
    // A line break in an unused column does no harm.
    expect(row('u1', 'Ann', 'a long\nstory').problem).toBeUndefined();
  });
});

describe('the separator', () => {
  test.each([
    ['id,nick,face', ','],
    ['id;nick;"a,b,c,d"', ';'],
    ['id\tnick', '\t'],
    ['id|nick', '|'],
    ['id', ','],
  ])('finds the separator of %j', (line, delimiter) => {
    expect(delimiterOf(line)).toBe(delimiter);
  });

  test('reads a separator by its name or as a character', () => {
    expect(['tab', '\\t', 'semicolon', ';', '\t', '，'].map(readDelimiter)).toEqual([
      '\t',
      '\t',
      ';',
      ';',
      '\t',
      '，',
    ]);
    expect(['', ',,', '"', '\n', 'comma '].map(readDelimiter)).toEqual(Array(5).fill(undefined));
  });
});
