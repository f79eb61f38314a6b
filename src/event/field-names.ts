/** The field names of a stream entry: what a producer in any language writes with XADD. */
export const KNOWN_FIELDS = [
  'userId',
  'nick',
  'faceUrl',
  'type',
  'occurredAt',
  'replyTo',
  'traceparent',
  'tally',
  'identifierType',
  'password',
] as const;

export type FieldName = (typeof KNOWN_FIELDS)[number];

const known: ReadonlySet<string> = new Set(KNOWN_FIELDS);

export function isKnownField(name: string): name is FieldName {
  return known.has(name);
}
