import type { UserFacts } from '../../event/validate.ts';
import { UnreadableRowsError } from './read-text.ts';

/** One row of a file, read but not validated. */
export interface Row {
  /** The line on which the row begins, counted from 1. The header is a line, too. */
  readonly line: number;
  /** What the row says of its user; empty when it cannot be read. */
  readonly user: UserFacts;
  /** Why it cannot be read as a row; absent when it can. */
  readonly problem?: string;
  /** The original: the cells of a CSV row, or the line of NDJSON. */
  readonly raw: readonly string[] | string;
  /** A query has it: the value by which a later reading goes on after this row. */
  readonly key?: string;
}

/** Fields of a user that a file may give. */
export const ROW_FIELDS = [
  'userId',
  'nick',
  'faceUrl',
  'type',
  'occurredAt',
  'identifierType',
  'password',
] as const;
export type RowField = (typeof ROW_FIELDS)[number];

/** Which column holds which field. CSV: the column's index, from 0. NDJSON: its key. */
export type FieldMap<C> = ReadonlyMap<RowField, C>;

/** Reject files have these columns before those of the input. */
export const REJECT_COLUMNS = ['line', 'reason'] as const;

/** Names of a field's column or key, in lower case and without _, - and blanks. */
const ALIASES: Readonly<Record<RowField, string>> = {
  userId: 'userid uid id identifier account accountid accid imid 用户id 用户编号 账号',
  nick: 'nick nickname displayname screenname name 昵称 用户昵称 姓名 名称',
  faceUrl: 'faceurl face avatar avatarurl picture photo photourl headimg headimgurl 头像 头像地址 用户头像',
  type: 'type accounttype 类型',
  // No aliases: other date columns come in every format, and a wrong date would cost the row.
  occurredAt: 'occurredat',
  identifierType: 'identifiertype',
  password: 'password',
};

/** `--map userId=uid,nick=name` as an object: the name (or number) of each field's column; '' for none. */
export type Mapping = Readonly<Partial<Record<RowField, string>>>;

/** Reads `field=column[,field=column…]`. Throws UnreadableRowsError. Pure. */
export function readMapping(text: string, earlier: Mapping = {}): Mapping {
  const found: Partial<Record<RowField, string>> = { ...earlier };
  for (const part of text.split(',')) {
    const at = part.indexOf('=');
    // A column may be left out, but not the ID's.
    const [field, column] = [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    if (at < 1 || !isRowField(field) || (column === '' && field === 'userId'))
      throw new UnreadableRowsError(
        `--map ${part}: write FIELD=COLUMN, such as userId=uid; fields are ${ROW_FIELDS.join(', ')}.`,
      );
    found[field] = column;
  }
  return found;
}

/**
 * Finds the columns of a CSV file by its header. Throws UnreadableRowsError when a field's column is unclear.
 * Pure.
 */
export function columnsOfHeader(header: readonly string[], mapping: Mapping): FieldMap<number> {
  const names = header.map((name) => name.trim());
  const columns = new Map<RowField, number>();
  for (const [field, name] of Object.entries(mapping) as [RowField, string][])
    if (name !== '') columns.set(field, columnOf(names, field, name));
  const taken = new Set(columns.values());
  for (const field of ROW_FIELDS) {
    if (columns.has(field) || mapping[field] === '') continue;
    const meant = names.flatMap((name, at) => (!taken.has(at) && isMeant(field, name) ? [at] : []));
    const exact = meant.filter((at) => plain(names[at] ?? '') === field.toLowerCase());
    const [column, ...more] = exact.length > 0 ? exact : meant;
    if (more.length > 0)
      throw new UnreadableRowsError(
        `Several columns could be ${field}: ${meant.map((at) => names[at]).join(', ')}. Choose one: --map ${field}=COLUMN, or by its position, such as --map ${field}=#${(column ?? 0) + 1 - rejectColumns(names)}.`,
      );
    if (column !== undefined) columns.set(field, column);
  }
  if (!columns.has('userId'))
    throw new UnreadableRowsError(
      `No column is the user ID. ${thereAre(names)} Name it: --map userId=COLUMN. If the first line is a user already: --no-header --map userId=1,nick=2.`,
    );
  return columns;
}

/** How many columns of a header are no columns of the input. A file that was rejected twice has four. */
function rejectColumns(names: readonly string[]): number {
  const [line, reason] = REJECT_COLUMNS;
  let at = 0;
  while (names[at] === line && names[at + 1] === reason) at += 2;
  return at;
}

/**
 * The index of the column with this name, or in this position (`#3`). A position counts the columns of the
 * input, so that its reject file takes the same `--map`.
 */
function columnOf(names: readonly string[], field: RowField, name: string): number {
  const at = names.indexOf(name);
  const before = rejectColumns(names);
  if (at !== names.lastIndexOf(name))
    throw new UnreadableRowsError(
      `--map ${field}=${name}: several columns have this name. Choose one by its position: --map ${field}=#${at + 1 - before}.`,
    );
  const position = Number(/^#([1-9]\d{0,3})$/.exec(name)?.[1] ?? 0);
  const found = at < 0 && position > 0 && position + before <= names.length ? position - 1 + before : at;
  if (found < 0) throw new UnreadableRowsError(`--map ${field}=${name}: ${thereAre(names)}`);
  return found;
}

/**
 * The columns of a file without a header, by their numbers, from 1. `width`: the cells of its first row. Throws
 * UnreadableRowsError. Pure.
 */
export function columnsByNumber(mapping: Mapping, width: number): FieldMap<number> {
  const columns = new Map<RowField, number>();
  for (const [field, number] of Object.entries(mapping) as [RowField, string][]) {
    if (number === '') continue;
    if (!/^#?[1-9]\d{0,3}$/.test(number))
      throw new UnreadableRowsError(
        `--map ${field}=${number}: without a header, give a column's number: --map userId=1,nick=2.`,
      );
    const column = Number(number.replace('#', ''));
    // A whole line that is read as one cell would become an ID.
    if (column > width)
      throw new UnreadableRowsError(
        `--map ${field}=${number}: the first line has ${width} ${width === 1 ? 'cell' : 'cells'}. If another character stands between the cells, name it: --delimiter.`,
      );
    columns.set(field, column - 1);
  }
  if (!columns.has('userId'))
    throw new UnreadableRowsError('Without a header, give the number of each column: --map userId=1,nick=2.');
  return columns;
}

/**
 * The keys of an NDJSON object. For each field: the mapped key, else the field's own name, else an alias.
 * Pure.
 */
export function keysOfObject(keys: readonly string[], mapping: Mapping): FieldMap<string> {
  const found = new Map<RowField, string>();
  for (const field of ROW_FIELDS) {
    const mapped = mapping[field];
    if (mapped === '') continue;
    const key =
      mapped ?? (keys.includes(field) ? field : keys.find((candidate) => isMeant(field, candidate)));
    if (key !== undefined) found.set(field, key);
  }
  return found;
}

/** The names of the columns that no field takes. */
export function unusedColumns(header: readonly string[], columns: FieldMap<number>): string[] {
  const used = new Set(columns.values());
  return header.filter((name, at) => !used.has(at) && name.trim() !== '');
}

/** Why a row of CSV is no user but part of a header; undefined for any other row. Pure. */
export function headerProblem(cells: readonly string[], header: readonly string[]): string | undefined {
  const names = cells.map(plain).filter((name) => name !== '');
  const own = header.map(plain).filter((name) => name !== '');
  const isSame = names.length > 0 && names.length === own.length && own.every((name) => names.includes(name));
  // A user may be called account. A row of nothing but names of columns is none.
  const isOther =
    names.length > 1 &&
    names.some((name) => isMeant('userId', name)) &&
    names.every((name) => own.includes(name) || ROW_FIELDS.some((field) => isMeant(field, name)));
  if (isSame || isOther)
    return 'the header once more: were several files joined? Those with other columns need an import each';
  const dashes = cells.map((cell) => cell.trim()).filter((cell) => cell !== '');
  // A user may be called -, but hardly ---.
  if (dashes.join('').length >= 3 && dashes.every((cell) => /^-+$/.test(cell)))
    return 'a line of dashes, as some programs draw it below a header: leave it out';
  return undefined;
}

function isMeant(field: RowField, name: string): boolean {
  return ALIASES[field].split(' ').includes(plain(name));
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
