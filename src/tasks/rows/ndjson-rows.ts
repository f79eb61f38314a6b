import type { UserFacts } from '../../event/validate.ts';
import { keysOfObject, type Mapping } from './columns.ts';
import type { Row } from './row.ts';
import { UnreadableRowsError } from './row.ts';

/** A user with everything that an event may carry takes a tenth of it. */
const MAX_LINE_CHARS = 1_048_576;

/** The rows of NDJSON text in UTF-8: a JSON object a line. Throws UnreadableRowsError for a line without end. */
export async function* ndjsonRows(text: AsyncIterable<Uint8Array>, mapping: Mapping): AsyncGenerator<Row> {
  let line = 0;
  for await (const content of linesOf(text)) {
    line++;
    if (content.trim() !== '') yield ndjsonRow(line, content, mapping);
  }
}

/** Pure. */
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
        `CommandLimiter ${line} is longer than a million characters. One JSON object a line is wanted; of a JSON list make such lines with: jq -c '.[]'.`,
      );
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}
