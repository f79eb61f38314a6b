/** The name of a count that an event belongs to, such as of an import; undefined for what is none. */
export function readTally(text: string | undefined): string | undefined {
  return text !== undefined && /^[A-Za-z0-9_-]{1,64}$/.test(text) ? text : undefined;
}
