import { delimiterOf, readDelimiter } from '../../../../src/tasks/rows/delimiter.ts';

test.each([
  ['id,nick,face', ','],
  ['id;nick;"a,b,c,d"', ';'],
  ['id\tnick', '\t'],
  ['id|nick', '|'],
  ['id', ','],
])('%j', (line, delimiter) => {
  expect(delimiterOf(line)).toBe(delimiter);
});

test('a separator by name, or as it is', () => {
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
