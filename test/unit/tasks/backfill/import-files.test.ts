import { csvLine, headText, rejectText } from '../../../../src/tasks/backfill/import-files.ts';

const csv = { format: 'csv', header: ['id', 'nick', 'password'], secret: 2 } as const;
const ndjson = { format: 'ndjson', header: [], secret: 'password' } as const;

test('CSV: writes line and reason, then the original row without its password', () => {
  expect(headText(csv)).toBe('line,reason,id,nick,password\n');
  const row = { line: 7, user: {}, raw: ['u 1', 'Ann "the cat", B', 'secret', 'more'] };
  expect(rejectText({ row, reason: 'one, two' }, csv)).toBe('7,"one, two",u 1,"Ann ""the cat"", B",,more\n');
});

test('NDJSON: writes the object with line and reason, without its password; an invalid line as a text', () => {
  expect(headText(ndjson)).toBe('');
  const reason = 'bad';
  const object = { line: 3, user: {}, raw: '{"userId":7,"password":"secret","line":99}' };
  expect(rejectText({ row: object, reason }, ndjson)).toBe('{"line":3,"reason":"bad","userId":7}\n');
  expect(rejectText({ row: { line: 4, user: {}, raw: '{"user' }, reason }, ndjson)).toBe(
    '{"line":4,"reason":"bad","row":"{\\"user"}\n',
  );
});

test('NDJSON: keeps the digits of numbers that JSON.parse would change', () => {
  const raw = '{"userId":9007199254740993,"a":[1.10,-2,1e400],"b":"9007199254740993 \\" 1.0","password":1.0}';
  expect(rejectText({ row: { line: 3, user: {}, raw }, reason: 'bad' }, ndjson)).toBe(
    '{"line":3,"reason":"bad","userId":9007199254740993,"a":[1.10,-2,1e400],"b":"9007199254740993 \\" 1.0"}\n',
  );
});

test('quotes cells only where CSV needs it', () => {
  expect(csvLine(['a', '', ' b', 'c\nd', 'e"f'])).toBe('a,," b","c\nd","e""f"\n');
});
