import { escaped, printableJson } from '../ops/feed/record.ts';

/** How verbs print their results: numbers, times, columns, JSON. */

const NAME_CHARS = 11;
const COUNTED_NAME_CHARS = 15;

/** A line of `imsync dlq show` or `imsync user show`. */
export type NamedValue = readonly [name: string, value: string];

/** A line of the summary of an import { printableJson } from '../ops/feed/record.ts';
import or a verification. The note may be empty. */
export type NamedCount = readonly [name: string, count: number, note: string];

/** Prints a result: with `--json` as one line of JSON, otherwise as text for a person. */
export function printResult(json: boolean | undefined, result: unknown, text: string): void {
  process.stdout.write(json ? jsonLine(result as object) : escapedLines(text));
}

/** The same value as JSON.stringify, and nothing in it can falsify a terminal. */
export function jsonLine(value: object): string {
  return `${printableJson(value)}\n`;
}

/** Each line as one that cannot falsify a terminal. What may hold an end of line must be escaped before. */
export function escapedLines(text: string): string {
  return text.split('\n').map(escaped).join('\n');
}

/** The values stand in one column. A row without a value is left out. */
export function namedLines(rows: readonly NamedValue[]): string {
  return rows
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name.padEnd(NAME_CHARS)} ${escaped(value)}\n`)
    .join('');
}

export function countedLines(rows: readonly NamedCount[]): string[] {
  const width = Math.max(...rows.map(([, count]) => grouped(count).length));
  return rows.map(([name, count, note]) =>
    `${name.padEnd(COUNTED_NAME_CHARS)}${grouped(count).padStart(width)}  ${note}`.trimEnd(),
  );
}

/** 2025-04-03T17:08:43.000Z, from milliseconds since 1970. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** 1 letter, 1,234 letters */
export function counted(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** 1,234,567 */
export function grouped(number: number): string {
  return number.toLocaleString('en-US');
}

/** 45 s, 3 min 20 s, 2 h 5 min */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}

interface AnswerCode {
  readonly errorCode: number;
  readonly httpStatus: number;
}

/** The code of an API answer; without one its HTTP status: 70399, HTTP 502, HTTP none. */
export function answerText({ errorCode, httpStatus }: AnswerCode): string {
  return errorCode === 0 ? `HTTP ${httpStatus || 'none'}` : String(errorCode);
}

/** Why an event is dead: rejected 70399 */
export function reasonText({ reason, errorCode }: { reason: string; errorCode: number }): string {
  return errorCode === 0 ? reason : `${reason} ${errorCode}`;
}

export function attemptText(attempt: AnswerCode & { readonly at: number; readonly command: string }): string {
  return `${isoTime(attempt.at)}  ${attempt.command}  ${answerText(attempt)}`;
}
