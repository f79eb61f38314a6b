import { isAbsent } from '../../event/event.ts';
import type { UserInput } from '../../event/fields.ts';
import { oddId, oddNick } from '../../event/odd-values.ts';
import type { RowField } from './columns.ts';

/** Something that looked odd in rows that were taken all the same, for a person to judge. */
export interface OddFinding {
  readonly what: string;
  readonly rows: number;
  /** The lines of the first of these rows, counted from 1. Empty where it is about the whole file. */
  readonly lines: readonly number[];
}

const SHOWN_LINES = 5;
/** IDs that are compared by case: enough to see a habit, and 20 MB at most. */
const MOST_COMPARED = 200_000;
/** The API takes 32 bytes. A column that is as narrow cuts longer IDs off. */
const NEAR_LIMIT = 30;
/** In fewer rows an empty column says nothing. */
const ENOUGH_ROWS = 20;
const MOSTLY = 0.9;
const UUID = /^[0-9a-f]{32}$/i;

/** Collects what looks odd in the rows of a file that are taken. */
export class OddRows {
  private readonly found = new Map<string, { rows: number; lines: number[] }>();
  private readonly idsByLowerCase = new Map<string, string>();
  private readonly filled = new Map<RowField, number>();
  private rows = 0;

  /** `fields`: those of the file's columns; [] for NDJSON, whose rows may have any. */
  constructor(fields: readonly RowField[]) {
    for (const field of fields) if (field !== 'userId') this.filled.set(field, 0);
  }

  /** `user` passed validation. */
  saw(line: number, user: UserInput): void {
    const { userId, nick, faceUrl } = user;
    this.rows++;
    const odd = oddId(userId);
    if (odd !== undefined) this.note(`user IDs that look like something else (${odd.kind})`, line);
    if (this.isTwin(userId)) this.note('user IDs that differ from another one by case only', line);
    if (userId.length >= NEAR_LIMIT && !UUID.test(userId))
      this.note(`user IDs of ${NEAR_LIMIT} to 32 bytes, which may be cut off`, line);
    if (typeof nick === 'string' && nick !== '') {
      if (nick === userId) this.note('nicks that equal the user ID', line);
      const kind = oddNick(nick);
      if (kind !== undefined) this.note(`nicks that look like something else (${kind})`, line);
    }
    if (typeof faceUrl === 'string' && faceUrl !== '' && oddNick(faceUrl) !== undefined)
      this.note('pictures that look like something else', line);
    for (const [field, count] of this.filled) if (!isAbsent(user[field])) this.filled.set(field, count + 1);
  }

  /** The findings, most rows first. */
  findings(): OddFinding[] {
    const found = [...this.found].map(([what, { rows, lines }]) => ({ what, rows, lines }));
    for (const [field, count] of this.filled) {
      const empty = this.rows - count;
      if (this.rows >= ENOUGH_ROWS && empty > MOSTLY * this.rows)
        found.push({ what: `rows whose column of ${field} is empty`, rows: empty, lines: [] });
    }
    return found.sort((a, b) => b.rows - a.rows);
  }

  private note(what: string, line: number): void {
    const seen = this.found.get(what) ?? { rows: 0, lines: [] };
    seen.rows++;
    if (seen.lines.length < SHOWN_LINES) seen.lines.push(line);
    this.found.set(what, seen);
  }

  /** Whether an ID of an earlier row differs by case only. */
  private isTwin(userId: string): boolean {
    const lower = userId.toLowerCase();
    const earlier = this.idsByLowerCase.get(lower);
    if (earlier !== undefined) return earlier !== userId;
    // Digits have no case.
    if (this.idsByLowerCase.size < MOST_COMPARED && (lower !== userId || /[a-z]/.test(userId)))
      this.idsByLowerCase.set(lower, userId);
    return false;
  }
}
