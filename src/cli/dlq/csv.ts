import type { StoredLetter } from '../../ledger/letters/dead-letters.ts';
import { isoTime } from '../format.ts';

/** Letters as rows for a spreadsheet (RFC 4180), in UTF-8 with a byte order mark, without which Excel guesses. */

const COLUMNS: Readonly<Record<string, (letter: StoredLetter) => string | number | undefined>> = {
  eventId: ({ eventId }) => eventId,
  userId: ({ userId }) => userId,
  state: ({ state }) => state,
  reason: ({ reason }) => reason,
  errorCode: ({ errorCode }) => errorCode,
  errorInfo: ({ errorInfo }) => errorInfo,
  httpStatus: ({ httpStatus }) => httpStatus,
  command: ({ command }) => command,
  attempts: ({ attempts }) => attempts.length,
  redrives: ({ redrives }) => redrives.length,
  firstSeenAt: ({ firstSeenAt }) => isoTime(firstSeenAt),
  deadSince: ({ deadSince }) => isoTime(deadSince),
  notBefore: ({ notBefore }) => (notBefore === null ? '' : isoTime(notBefore)),
  nick: ({ event }) => event.nick,
  faceUrl: ({ event }) => event.faceUrl,
  type: ({ event }) => event.type,
};

export const csvHead = `\uFEFF${Object.keys(COLUMNS).join(',')}\r\n`;

export function csvRow(letter: StoredLetter): string {
  const cells = Object.values(COLUMNS).map((read) => cell(read(letter) ?? ''));
  return `${cells.join(',')}\r\n`;
}

/** A text that a spreadsheet would run as a formula gets an apostrophe in front, which makes it a text. */
function cell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
