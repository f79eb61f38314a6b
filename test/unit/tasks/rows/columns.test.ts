import {
  columnsByNumber,
  columnsOfHeader,
  readMapping,
  unusedColumns,
} from '../../../../src/tasks/rows/columns.ts';

const plain = (columns: ReadonlyMap<string, number>) => Object.fromEntries(columns);

test.each([
  [['userId', 'nick', 'faceUrl', 'type'], { userId: 0, nick: 1, faceUrl: 2, type: 3 }],
  [['Avatar URL', 'Nick_Name', 'USER-ID'], { userId: 2, nick: 1, faceUrl: 0 }],
  [['uid', 'name', 'city'], { userId: 0, nick: 1 }],
  [['用户ID', '昵称', '头像'], { userId: 0, nick: 1, faceUrl: 2 }],
  // The field's own name is preferred to its aliases.
  [['id', 'user_id', 'name', 'nick'], { userId: 1, nick: 3 }],
])('%j', (header, expected) => {
  expect(plain(columnsOfHeader(header, {}))).toEqual(expected);
});

test('prefers the mapping, and an alias does not take a mapped column', () => {
  const mapping = readMapping('userId=member,nick=id');
  expect(plain(columnsOfHeader(['id', 'member', 'avatar'], mapping))).toEqual({
    userId: 1,
    nick: 0,
    faceUrl: 2,
  });
});

test('asks which column to take when two could be it', () => {
  expect(() => columnsOfHeader(['id', 'uid'], {})).toThrow(
    'Several columns could be userId: id, uid. Choose one: --map userId=COLUMN, or by its position, such as --map userId=#1.',
  );
});

test('names the columns and the option to use when no column is the user ID', () => {
  expect(() => columnsOfHeader(['u1', 'Ann'], {})).toThrow(
    /No column is the user ID\. The file's columns are: u1, Ann\..*--map userId=COLUMN.*--no-header --map userId=1/,
  );
  expect(() => columnsOfHeader(['id'], { nick: 'nope' })).toThrow(
    /--map nick=nope: The file's columns are: id\./,
  );
});

test('takes columns by number when there is no header', () => {
  expect(plain(columnsByNumber(readMapping('userId=2,nick=1'), 3))).toEqual({ userId: 1, nick: 0 });
  expect(() => columnsByNumber({ nick: '1' }, 3)).toThrow('--map userId=1');
  for (const number of ['0', '-1', 'id'])
    expect(() => columnsByNumber({ userId: number }, 3)).toThrow("give a column's number");
});

test('refuses an invalid mapping', () => {
  for (const text of ['userId', '=x', 'userId=', 'colour=x', 'userId=a,,nick=b'])
    expect(() => readMapping(text)).toThrow(/write FIELD=COLUMN/);
  expect(readMapping('nick=b', { userId: 'a' })).toEqual({ userId: 'a', nick: 'b' });
});

test('names the columns that no field takes', () => {
  const header = ['id', 'city', '', 'mail'];
  expect(unusedColumns(header, columnsOfHeader(header, {}))).toEqual(['city', 'mail']);
});
