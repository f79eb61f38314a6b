import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rejectShape } from '../../../../src/cli/import/rows-input.ts';
import { toFields, type UserInput } from '../../../../src/event/fields.ts';
import { headText, rejectText } from '../../../../src/tasks/backfill/import-files.ts';
import {
  dryRun,
  type RowRules,
  type ValidatedRow,
  validateRow,
} from '../../../../src/tasks/backfill/validate-rows.ts';
import { readMapping } from '../../../../src/tasks/rows/columns.ts';
import { exportedCell } from '../../../../src/tasks/rows/database-export.ts';
import { OddRows } from '../../../../src/tasks/rows/odd-rows.ts';
import { type OpenRows, openRows, type ReadOptions } from '../../../../src/tasks/rows/open-rows.ts';

/** Files as programs and spreadsheets leave them. */

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-odd-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function opened(content: string | Buffer, options: Partial<ReadOptions> = {}): Promise<OpenRows> {
  const path = join(folder, 'users');
  await writeFile(path, content);
  return openRows(path, { mapping: {}, header: true, quotes: true, ...options });
}

const rules = (own: Partial<RowRules> = {}): RowRules => ({
  adminId: 'administrator',
  allowDecimals: false,
  odd: new OddRows([]),
  ...own,
});

async function read(
  content: string | Buffer,
  options?: Partial<ReadOptions>,
  own?: Partial<RowRules>,
): Promise<ValidatedRow[]> {
  const rows = await opened(content, options);
  const found: ValidatedRow[] = [];
  try {
    for await (const row of rows.rows()) found.push(validateRow(row, rules(own)));
    return found;
  } finally {
    rows.close();
  }
}

const asObject = (fields: readonly string[]) =>
  Object.fromEntries(fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]]] : [])));

const users = async (...args: Parameters<typeof read>) => (await read(...args)).map(({ user }) => user);
const reasons = async (...args: Parameters<typeof read>) =>
  (await read(...args)).map(({ row, reason }) => [row.line, reason]);

describe('user IDs', () => {
  const junk = 'userId\nNULL\n"1,234,567"\n\'00123\n1.23E+11\n123.0\nu1\n';

  test('that no app uses are rejected with the sentence of the stream', async () => {
    expect(await reasons(junk)).toEqual([
      [2, expect.stringContaining('userId is "NULL"')],
      [3, expect.stringContaining('separators')],
      [4, expect.stringContaining('apostrophe')],
      [5, expect.stringContaining('digits are lost')],
      [6, expect.stringContaining('decimals')],
      [7, undefined],
    ]);
  });

  test('that are allowed carry the mark, so that workers take them too', async () => {
    const allowed = { allowOddIds: ['all'], allowDecimals: true };
    const taken = (await users(junk, {}, allowed)).map((user) => toFields(user as UserInput));
    expect(taken.map((fields) => asObject(fields))).toEqual([
      { userId: 'NULL', allowOddId: '1' },
      { userId: '1,234,567', allowOddId: '1' },
      { userId: "'00123", allowOddId: '1' },
      { userId: '1.23E+11', allowOddId: '1' },
      { userId: '123.0' },
      { userId: 'u1' },
    ]);
  });
});

test('a header in the middle is rejected as what it is, and names no user', async () => {
  expect(await reasons('userId,nick\nu1,a\nuserId,nick\nu2,b\n')).toEqual([
    [2, undefined],
    [3, expect.stringContaining('the header once more')],
    [4, undefined],
  ]);
});

test.each([
  ['userId,nick', 'name,id'],
  ['userId,nick', 'USERID,Nick'],
  ['userId,nick', 'user_id,nickname'],
  ['id,nick,city', 'City,nick,ID'],
  ['userId', 'UserID'],
])('below %j, %j is a header, too', async (header, again) => {
  expect(await reasons(`${header}\nu1${',a'.repeat(header.split(',').length - 1)}\n${again}\n`)).toEqual([
    [2, undefined],
    [3, expect.stringContaining('the header once more')],
  ]);
});

test('a line of dashes is no user; names that only look like columns are', async () => {
  expect(await reasons('id,nick\n-----,----\naccount,Ann\nuid,\n-,x\n-,\n')).toEqual([
    [2, expect.stringContaining('a line of dashes')],
    ...[3, 4, 5, 6].map((line) => [line, undefined]),
  ]);
  expect(await users('id\naccount\n--\n')).toEqual([{ userId: 'account' }, { userId: '--' }]);
});

test.each([
  ['sep=;\r\nuserId;nick\r\nu1;Ann, B\r\n', 'Ann, B'],
  ['\uFEFF"sep=|"\nuserId|nick\nu1|Ann\n', 'Ann'],
  ['sep=,\nuserId,nick\nu1,"A;B;C"\n', 'A;B;C'],
])('%j obeys its first line', async (content, nick) => {
  expect(await users(content)).toEqual([{ userId: 'u1', nick }]);
});

test.each([
  ['u1, "Ann"', 'Ann'],
  ['u1, "Ann, B" ', 'Ann, B'],
  ['u1,"Ann" ', 'Ann'],
  ['u1, Ann "the one"', 'Ann "the one"'],
  ['u1," Ann "', ' Ann '],
  ['u1,"An"na', '"An"na'],
])('%j keeps neither blanks before a quote nor the quotes', async (line, nick) => {
  expect(await users(`userId,nick\n${line}\n`)).toEqual([{ userId: 'u1', nick }]);
});

describe('an export of a database', () => {
  test('of mysql -B: NULL is an empty cell, and escapes are undone', async () => {
    const text = 'id\tnick\nu1\tA\\tb\\\\c\\nd "e"\nu2\tNULL\nu3\tNull\n';
    expect(await users(text, { format: 'mysql' })).toEqual([
      { userId: 'u1', nick: 'A\tb\\c\nd "e"' },
      { userId: 'u2', nick: '' },
      { userId: 'u3', nick: 'Null' },
    ]);
  });

  test('of COPY: \\N is an empty cell, and its last line no row', async () => {
    const text = 'u1\tNULL\nu2\t\\N\n\\.\n';
    const options = { format: 'pg', header: false, mapping: readMapping('userId=1,nick=2') } as const;
    expect(await users(text, options)).toEqual([
      { userId: 'u1', nick: 'NULL' },
      { userId: 'u2', nick: '' },
    ]);
  });

  test('has the escapes that the manuals list', () => {
    expect(exportedCell('\\b\\f\\n\\r\\t\\v\\\\\\x', 'pg')).toBe('\b\f\n\r\t\v\\x');
    expect(exportedCell('a\\0b', 'mysql')).toBe('a\0b');
    expect(exportedCell('NULL', 'pg')).toBe('NULL');
  });
});

describe('a reject file', () => {
  const rejects = async (content: string | Buffer, options: Partial<ReadOptions>): Promise<string> => {
    const rows = await opened(content, options);
    const shape = rejectShape(rows);
    let text = headText(shape);
    for await (const row of rows.rows()) {
      const { reason } = validateRow(row, rules());
      if (reason !== undefined) text += rejectText({ row, reason }, shape);
    }
    return text;
  };

  test('takes the positions of --map that its input took: lines are no user IDs', async () => {
    const options = { mapping: readMapping('userId=#3') };
    const once = await rejects('id,name,id\nu6,Ann,NULL\n', options);
    const twice = await rejects(once, options);
    expect(twice).toMatch(/^line,reason,line,reason,id,name,id\n/);
    for (const text of [once, twice])
      expect(await users(text.replace('NULL\n', 'u7\n'), options)).toEqual([{ userId: 'u7', nick: 'Ann' }]);
  });

  test('keeps a name with a line break, which mysql -B escapes', async () => {
    const text = await rejects('id\tnick\nNULL\tA\\nB\n', { format: 'mysql' });
    expect(await users(text.replace(',,"A', ',u1,"A'))).toEqual([{ userId: 'u1', nick: 'A\nB' }]);
  });

  test('is not read by options of its input that would spoil it', async () => {
    const text = 'line,reason,1,2\n6,userId is missing,,X\n';
    for (const options of [
      { header: false },
      { quotes: false },
      { delimiter: ';' },
      { format: 'pg' },
    ] as const)
      await expect(opened(text, { mapping: readMapping('userId=1,nick=2'), ...options })).rejects.toThrow(
        /is a reject file.*leave out --no-header/,
      );
    expect(await reasons(text, { mapping: readMapping('userId=1,nick=2') })).toEqual([
      [2, 'userId is missing'],
    ]);
  });

  test('of another encoding says by its mark that it is UTF-8', async () => {
    const gbk = Buffer.concat([
      Buffer.from('id,nick\nNULL,'),
      Buffer.from('c0eec0d7', 'hex'),
      Buffer.from('\n'),
    ]);
    const text = await rejects(gbk, { encoding: 'gbk' });
    expect(text).toContain('NULL,李雷\n');
    await expect(opened(text, { encoding: 'gbk' })).rejects.toThrow(/byte order mark.*Leave --encoding out/);
    expect(await users(text.replace('NULL,李', 'u1,李'))).toEqual([{ userId: 'u1', nick: '李雷' }]);
  });
});

test('without a header, a column that the first line lacks is told: the line would become an ID', async () => {
  const options = { header: false, mapping: readMapping('userId=1,nick=2') };
  await expect(opened('u1:Ann\nu2:Bob\n', options)).rejects.toThrow(/first line has 1 cell\..*--delimiter/);
  expect(await users('u1:Ann\n', { ...options, delimiter: ':' })).toEqual([{ userId: 'u1', nick: 'Ann' }]);
});

test('a dry run names limits and examples of ours as they are, and counts rows by reason', async () => {
  const long = 'x'.repeat(66_000);
  const rows = await opened(`userId,nick,occurredAt\nu1,,01/02/2024\nu2,${long},\nu3,${long}y,\n`);
  const { reasons: kinds } = await dryRun(
    rows.rows(),
    rules(),
    () => undefined,
    new AbortController().signal,
  );
  expect(kinds.map(({ reason }) => reason)).toEqual([
    'nick is N bytes long; 65536 is the most an event carries',
    'occurredAt must be an RFC 3339 time such as 2025-04-03T17:08:43Z, or milliseconds since 1970',
  ]);
});

test.each([
  ['{"userId":"u1"},', 'leave out the comma'],
  ['{', 'one whole object'],
])('%j is told as no JSON, with what to do', async (line, words) => {
  expect(await reasons(`${line}\n`, { format: 'ndjson' })).toEqual([[1, expect.stringContaining(words)]]);
});

test('a picture that a program left behind is named, as a nick is', async () => {
  const odd = new OddRows([]);
  await read('userId,avatar\nu1,NULL\nu2,\nu3,https://example.com/a.png\n', {}, { odd });
  expect(odd.findings()).toEqual([{ what: 'pictures that look like something else', rows: 1, lines: [2] }]);
});

describe('columns', () => {
  const twice = 'id,name,id\n7,Ann,u7\n';

  test('are chosen by position', async () => {
    expect(await users(twice, { mapping: readMapping('userId=#3') })).toEqual([
      { userId: 'u7', nick: 'Ann' },
    ]);
    await expect(opened(twice)).rejects.toThrow(/Several columns could be userId: id, id.*userId=#1/);
    await expect(opened(twice, { mapping: readMapping('userId=id') })).rejects.toThrow(
      /several columns have this name.*userId=#1/,
    );
    await expect(opened(twice, { mapping: readMapping('userId=#4') })).rejects.toThrow(
      /columns are: id, name, id/,
    );
  });

  test('are left out', async () => {
    expect(await users('userId,nick\nu1,Ann\n', { mapping: readMapping('nick=') })).toEqual([
      { userId: 'u1' },
    ]);
    expect(
      await users('{"userId":"u1","nick":"Ann"}\n', { format: 'ndjson', mapping: readMapping('nick=') }),
    ).toEqual([{ userId: 'u1' }]);
    expect(() => readMapping('userId=')).toThrow('FIELD=COLUMN');
  });
});

test.each([
  ['PK\x03\x04\x14\0\x06\0[Content_Types].xml', /Excel workbook \(\.xlsx\).*CSV UTF-8/],
  ['PK\x03\x04....mimetypeapplication/vnd.oasis.opendocument.spreadsheet', /OpenDocument/],
  ['PK\x03\x04\x14\0users.csv', /ZIP archive.*unzip -p/],
  ['BZh91AY&SY', /bzip2.*bzcat/],
  ['\xfd7zXZ\0\0', /xz.*xzcat/],
  ['\x28\xb5\x2f\xfd\x04', /zstd/],
  ['PAR1\x15\x04', /Parquet/],
  ['\xd0\xcf\x11\xe0\xa1', /old Excel workbook/],
  ['SQLite format 3\0\x10', /SQLite/],
  ['PGDMP\x01', /pg_dump/],
  ['PK\x05\x06\0\0', /empty ZIP/],
  ['\xef\xbb\xbf<!DOCTYPE html>\n<p>', /HTML page.*CSV UTF-8/],
  ['<?xml version="1.0"?>\n<users/>', /XML/],
  ['-- MySQL dump 10.13\n', /SQL statements.*mysql -B/],
  ['INSERT INTO users VALUES (1);\n', /SQL statements/],
  ['{\\rtf1 userId}', /RTF/],
  [`${'\0'.repeat(257)}ustar\0`, /tar archive/],
])('%j is named for what it is, in gzip as well', async (begin, words) => {
  const bytes = Buffer.from(begin, 'latin1');
  await expect(opened(bytes)).rejects.toThrow(words);
  await expect(opened(gzipSync(bytes))).rejects.toThrow(words);
});

test('UTF-16 is read without its mark, and refused as big endian', async () => {
  const text = Buffer.from('userId,nick\nu1,小明\n', 'utf16le');
  expect(await users(text)).toEqual([{ userId: 'u1', nick: '小明' }]);
  await expect(opened(Buffer.from(text).swap16())).rejects.toThrow(/UTF-16, big endian.*iconv/);
  // A NUL alone does not make UTF-16.
  expect(await reasons('userId,nick\nu1,a\0b\nu2,c\n')).toEqual([
    [2, 'nick holds control characters, such as NUL'],
    [3, undefined],
  ]);
});

test('a cell of 3 MB is told apart from a quote that is not closed', async () => {
  const big = 'x'.repeat(3_000_000);
  await expect(read(`userId,nick\nu1,${big}\nu2,b\n`)).rejects.toThrow(/Line 2 is longer than 1 MiB/);
  await expect(read(`userId,nick\nu1,"${big}"\nu2,b\n`)).rejects.toThrow(/Line 2 is longer than 1 MiB/);
  await expect(read(`userId,nick\nu1,"${'x\n'.repeat(1_500_000)}`)).rejects.toThrow(
    /quote that opens at line 2/,
  );
});

test('a dry run counts cells in numbers', async () => {
  const rows = await opened('userId,nick\nu1,a,b\nu2\nu3,a,b\n');
  const found = await dryRun(rows.rows(), rules(), () => undefined, new AbortController().signal);
  expect(found.reasons).toEqual([
    { reason: expect.stringContaining('3 cells where the header has 2'), rows: 2, firstLine: 2 },
    { reason: '1 cells where the header has 2', rows: 1, firstLine: 3 },
  ]);
});

test('what looks odd and is taken comes with its lines', async () => {
  const odd = new OddRows(['userId', 'nick', 'faceUrl']);
  const cut = 'a-very-long-user-id-that-is-cut-off'.slice(0, 32);
  const lines = [
    'Ann,x',
    'ann,x',
    'ANN,ANN',
    `${cut},NULL`,
    `${'0aF1'.repeat(8)},"""x"""`,
    'Null,x',
    'u7,x',
    'u7,x',
  ];
  for (let i = 0; i < 20; i++) lines.push(`p${i},`);
  lines.push('NULL,x');
  const content = ['userId,nick,faceUrl', ...lines.map((line) => `${line},`)].join('\n');
  await read(content, {}, { odd });
  expect(odd.findings()).toEqual([
    { what: 'rows whose column of faceUrl is empty', rows: 28, lines: [] },
    { what: 'user IDs that differ from another one by case only', rows: 2, lines: [3, 4] },
    { what: 'nicks that equal the user ID', rows: 1, lines: [4] },
    { what: 'user IDs of 30 to 32 bytes, which may be cut off', rows: 1, lines: [5] },
    { what: 'nicks that look like something else (word)', rows: 1, lines: [5] },
    { what: 'nicks that look like something else (serialized)', rows: 1, lines: [6] },
    { what: 'user IDs that look like something else (word)', rows: 1, lines: [7] },
  ]);
});
