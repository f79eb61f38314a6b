import { type FieldMap, ROW_FIELDS, type RowField, UnreadableRowsError } from './row.ts';

/** What a column or key may be called, besides the field's own name; small letters, without _, - and blanks. */
const ALIASES: Readonly<Record<RowField, readonly string[]>> = {
  userId: [
    'userid',
    'uid',
    'id',
    'identifier',
    'account',
    'accountid',
    'accid',
    'imid',
    '用户id',
    '用户编号',
    '账号',
  ],
  nick: ['nick', 'nickname', 'displayname', 'screenname', 'name', '昵称', '用户昵称', '姓名', '名称'],
  faceUrl: [
    'faceurl',
    'face',
    'avatar',
    'avatarurl',
    'picture',
    'photo',
    'photourl',
    'headimg',
    'headimgurl',
    '头像',
    '头像地址',
    '用户头像',
  ],
  type: ['type', 'accounttype', '类型'],
  // Read by its own name only: a file's dates come in every form, and a wrong one would cost the row.
  occurredAt: ['occurredat'],
  identifierType: ['identifiertype'],
  password: ['password'],
};

/** `--map userId=uid,nick=name` taken apart: field to the name (or number) of its column. */
export type Mapping = Readonly<Partial<Record<RowField, string>>>;

/** Reads `field=column[,field=column…]`. Throws UnreadableRowsError. Pure. */
export function readMapping(text: string, earlier: Mapping = {}): Mapping {
  const found: Partial<Record<RowField, string>> = { ...earlier };
  for (const part of text.split(',')) {
    const at = part.indexOf('=');
    const [field, column] = [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    if (at < 1 || column === '' || !isRowField(field))
      throw new UnreadableRowsError(
        `--map ${part}: write FIELD=COLUMN, such as userId=uid; fields are ${ROW_FIELDS.join(', ')}.`,
      );
    found[field] = column;
  }
  return found;
}

/** The columns of a CSV file by its header. Throws UnreadableRowsError when it is not clear which holds what. Pure. */
export function columnsOfHeader(header: readonly string[], mapping: Mapping): FieldMap<number> {
  const names = header.map((name) => name.trim());
  const columns = new Map<RowField, number>();
  for (const [field, name] of Object.entries(mapping) as [RowField, string][]) {
    const at = names.indexOf(name);
    if (at < 0) throw new UnreadableRowsError(`--map ${field}=${name}: ${thereAre(names)}`);
    columns.set(field, at);
  }
  const taken = new Set(columns.values());
  for (const field of ROW_FIELDS) {
    if (columns.has(field)) continue;
    const meant = names.flatMap((name, at) => (!taken.has(at) && isMeant(field, name) ? [at] : []));
    const exact = meant.filter((at) => plain(names[at] ?? '') === field.toLowerCase());
    const [column, ...more] = exact.length > 0 ? exact : meant;
    if (more.length > 0)
      throw new UnreadableRowsError(
        `Several columns could be ${field}: ${meant.map((at) => names[at]).join(', ')}. Say which: --map ${field}=COLUMN.`,
      );
    if (column !== undefined) columns.set(field, column);
  }
  if (!columns.has('userId'))
    throw new UnreadableRowsError(
      `No column is the user ID. ${thereAre(names)} Say which it is: --map userId=COLUMN; or, if the first line is a user already: --no-header --map userId=1,nick=2.`,
    );
  return columns;
}

/** The columns of a file without a header, by their numbers from 1. Throws UnreadableRowsError. Pure. */
export function columnsByNumber(mapping: Mapping): FieldMap<number> {
  const columns = new Map<RowField, number>();
  for (const [field, number] of Object.entries(mapping) as [RowField, string][]) {
    if (!/^[1-9]\d{0,3}$/.test(number))
      throw new UnreadableRowsError(
        `--map ${field}=${number}: without a header, columns go by their number: --map userId=1,nick=2.`,
      );
    columns.set(field, Number(number) - 1);
  }
  if (!columns.has('userId'))
    throw new UnreadableRowsError('Without a header, say which column is what: --map userId=1,nick=2.');
  return columns;
}

/** The keys of an NDJSON object: the mapped one, the field's own name, else an alias of it. Pure. */
export function keysOfObject(keys: readonly string[], mapping: Mapping): FieldMap<string> {
  const found = new Map<RowField, string>();
  for (const field of ROW_FIELDS) {
    const mapped = mapping[field];
    const key =
      mapped ?? (keys.includes(field) ? field : keys.find((candidate) => isMeant(field, candidate)));
    if (key !== undefined) found.set(field, key);
  }
  return found;
}

/** The columns that no field takes, by name. */
export function unusedColumns(header: readonly string[], columns: FieldMap<number>): string[] {
  const used = new Set(columns.values());
  return header.filter((name, at) => !used.has(at) && name.trim() !== '');
}

function isMeant(field: RowField, name: string): boolean {
  return ALIASES[field].includes(plain(name));
}

function plain(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/[\s_-]+/g, '');
}

function isRowField(name: string): name is RowField {
  return (ROW_FIELDS as readonly string[]).includes(name);
}

function thereAre(names: readonly string[]): string {
  const shown = names.slice(0, 30).map((name) => (name.length > 40 ? `${name.slice(0, 40)}…` : name));
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : '';
  return `The file's columns are: ${shown.join(', ')}${more}.`;
}
