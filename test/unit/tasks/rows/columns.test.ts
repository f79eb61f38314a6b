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
  // The field's own name goes before its aliases.
  [['id', 'user_id', 'name', 'nick'], { userId: 1, nick: 3 }],
])('%j', (header, expected) => {
  expect(plain(columnsOfHeader(header, {}))).toEqual(expected);
});

test('a mapping goes before all, and takes a column away from its alias', () => {
  const mapping = readMapping('userId=member,nick=id');
  expect(plain(columnsOfHeader(['id', 'member', 'avatar'], mapping))).toEqual({
    userId: 1,
    nick: 0,
    faceUrl: 2,
  });
});

test('two columns that could be it: say which', () => {
  expect(() => columnsOfHeader(['id', 'uid'], {})).toThrow(
    'Several columns could be userId: id, uid. Say which: --map userId=COLUMN.',
  );
});

test('no user ID: the columns are named, and what to write', () => {
  expect(() => columnsOfHeader(['u1', 'Ann'], {})).toThrow(
    /No column is the user ID\. The file's columns are: u1, Ann\..*--map userId=COLUMN.*--no-header --map userId=1/,
  );
  expect(() => columnsOfHeader(['id'], { nick: 'nope' })).toThrow(
    /--map nick=nope: The file's columns are: id\./,
  );
});

test('without a header columns go by number', () => {
  expect(plain(columnsByNumber(readMapping('userId=2,nick=1')))).toEqual({ userId: 1, nick: 0 });
  expect(() => columnsByNumber({ nick: '1' })).toThrow('--map userId=1');
  for (const number of ['0', '-1', 'id'])
    expect(() => columnsByNumber({ userId: number })).toThrow('by their number');
});

test('a mapping that is none', () => {
  for (const text of ['userId', '=x', 'userId=', 'colour=x', 'userId=a,,nick=b'])
    expect(() => readMapping(text)).toThrow(/write FIELD=COLUMN/);
  expect(readMapping('nick=b', { userId: 'a' })).toEqual({ userId: 'a', nick: 'b' });
});

test('what no field takes is named', () => {
  const header = ['id', 'city', '', 'mail'];
  expect(unusedColumns(header, columnsOfHeader(header, {}))).toEqual(['city', 'mail']);
});
