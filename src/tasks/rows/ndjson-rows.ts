import type { UserFacts } from '../../event/validate.ts';
import { keysOfObject, type Mapping, type Row } from './columns.ts';
import { UnreadableRowsError } from './read-text.ts';

/** Ten times what a user takes with all fields of an event at their longest. */
const MAX_LINE_CHARS = 1_048_576;

/**
 * Reads the rows of NDJSON text in UTF-8: one JSON object a line. Throws UnreadableRowsError for an endless
 * line.
 */
export async function* ndjsonRows(text: AsyncIterable<Uint8Array>, mapping: Mapping): AsyncGenerator<Row> {
  let line = 0;
  for await (const content of linesOf(text)) {
    line++;
    if (content.trim() !== '') yield ndjsonRow(line, content, mapping);
  }
}

/** Reads one line. A line that is no JSON object becomes a row with a `problem`. Pure. */
export function ndjsonRow(line: number, content: string, mapping: Mapping): Row {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return { line, user: {}, problem: 'the line is not JSON', raw: content };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { line, user: {}, problem: 'the line is not a JSON object', raw: content };
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const user: Record<string, unknown> = {};
  for (const [field, key] of keysOfObject(Object.keys(fields), mapping)) user[field] = fields[key];
  return { line, user: user as UserFacts, raw: content };
}

async function* linesOf(text: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8');
  let rest = '';
  let line = 1;
  for await (const chunk of text) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    line += parts.length;
    yield* parts;
    if (rest.length > MAX_LINE_CHARS)
      throw new UnreadableRowsError(
        `Line ${line} is longer than a million characters. The file must hold one JSON object per line. Convert a JSON list with: jq -c '.[]'.`,
      );
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}
