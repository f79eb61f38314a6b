import type { RelayedNumbers } from './relayed-numbers.ts';

/**
 * A row that waits for Redis. Values are cut to a little more than an event may carry, so that a look takes
 * little memory whatever the app has written.
 */
export interface OutboxRow {
  /** Its number as text: it may pass 2^53. */
  readonly id: string;
  readonly userId: string | null;
  readonly nick: string | null;
  readonly faceUrl: string | null;
  readonly type: number | null;
  readonly traceparent: string | null;
  /** ms since 1970, on the database's clock. */
  readonly createdAtMs: number;
}

export interface Taken {
  /** In the order in which they go to Redis. */
  readonly rows: readonly OutboxRow[];
  /** The database's clock at the look, ms since 1970; 0 without rows. */
  readonly nowMs: number;
}

export interface AsideRow {
  readonly id: string;
  readonly reason: string;
}

/**
 * Where the rows come from: one session with the database. All methods reject with the driver's error when
 * the session is lost; then nothing of it goes on, and its lock is free.
 */
export interface Outbox {
  /** Such as `PostgreSQL 15.14`. */
  readonly server: string;
  /** A commit wakes the relay, so that it need not look often. */
  readonly isWoken: boolean;
  /** Tries to become the one relay of this table. True once it is; it stays so while the session lives. */
  lead(): Promise<boolean>;
  /** The lowest rows that are committed and not done, `limit` at most. They stay where they are. */
  take(limit: number): Promise<Taken>;
  /** Redis has acknowledged these rows: they are deleted, or kept in the archive. */
  done(rows: readonly OutboxRow[]): Promise<void>;
  /** These rows can never be events: they go to the archive, with their reason. */
  aside(rows: readonly AsideRow[]): Promise<void>;
  /**
   * How many rows wait, those of the last look among them, by the highest number: an estimate that costs the same
   * for a thousand rows and for millions. 0 where nothing is known.
   */
  waiting(taken: readonly OutboxRow[]): Promise<number>;
  /** Keeps the session alive while nothing else is asked. */
  ping(): Promise<void>;
  /** What Redis keeps together with the rows of the last look, by a name; undefined for nothing. */
  readonly mark?: readonly [name: string, value: string] | undefined;
  /** How far the rows were relayed; undefined where rows have no numbers. */
  readonly numbers?: RelayedNumbers;
  close(): Promise<void>;
}

export interface OutboxOptions {
  readonly table: string;
  /** How long relayed rows are kept in the archive; 0 deletes them. */
  readonly keepMs: number;
  /** Rows may be waiting. */
  readonly onWake: () => void;
}

/** Most characters of a profile value that are read. The API takes 500 bytes: a longer one is too long anyway. */
export const PROFILE_CHARS = 501;
export const SHORT_CHARS = 200;

/**
 * How many rows wait, from those of a look and the highest number there. Numbers have gaps, so it goes by how many
 * of the look's newer half are there: the older half may hold a row that committed late, far below the others. Pure.
 */
export function estimateWaiting(taken: readonly OutboxRow[], highest: string | null): number {
  const [middle, last] = [taken[Math.floor(taken.length / 2)], taken.at(-1)];
  if (highest === null || middle === undefined || last === undefined) return taken.length;
  const span = Number(BigInt(last.id) - BigInt(middle.id)) + 1;
  const density = Math.ceil(taken.length / 2) / span;
  const above = Number(BigInt(highest) - BigInt(last.id));
  return taken.length + Math.max(0, Math.round(above * density));
}

/** A row of the look of either database. */
export function rowOf(values: readonly unknown[]): OutboxRow {
  const [id, userId, nick, faceUrl, type, traceparent, createdAtMs] = values;
  return {
    id: String(id),
    userId: userId as string | null,
    nick: nick as string | null,
    faceUrl: faceUrl as string | null,
    type: type as number | null,
    traceparent: traceparent as string | null,
    createdAtMs: Number(createdAtMs),
  };
}
