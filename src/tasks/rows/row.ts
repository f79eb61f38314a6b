import type { UserFacts } from '../../event/validate.ts';

/** One row of a file, read but not judged. */
export interface Row {
  /** Of the row's beginning, counted from 1; the header is a line, too. */
  readonly line: number;
  /** What it says of its user; nothing when it cannot be read. */
  readonly user: UserFacts;
  /** Why it cannot be read as a row; absent when it can. */
  readonly problem?: string;
  /** As it came: the cells of a CSV row, or the line of NDJSON. */
  readonly raw: readonly string[] | string;
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

/** Which column (CSV: its place from 0; NDJSON: its key) holds which field. */
export type FieldMap<C> = ReadonlyMap<RowField, C>;

/** The file cannot be read as what it should be. The message says where, and what to do. */
export class UnreadableRowsError extends Error {
  override readonly name = 'UnreadableRowsError';
}
