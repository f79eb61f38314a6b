/** Reads a text file; throws Node's errors. Given as an argument, so that this room does no I/O by itself. */
export type ReadFile = (path: string) => string;

/** What a JSON file holds, or the end of a sentence that says why not. */
export type JsonRead =
  | { readonly content: unknown }
  | { readonly problem: string; readonly missing: boolean };

/** Reads and parses a JSON file. Never throws, and never repeats what stands in the file. */
export function readJson(path: string, readFile: ReadFile): JsonRead {
  let text: string;
  try {
    text = readFile(path).replace(/^\uFEFF/, '');
  } catch (error) {
    const code = errorCode(error);
    return { problem: `cannot be read (${code})`, missing: code === 'ENOENT' };
  }
  try {
    return { content: JSON.parse(text) };
  } catch (error) {
    // Of the parser's message only the position: the rest quotes the file, which may hold a secret.
    const position = /at position (\d+)/.exec(String(error))?.[1];
    const where =
      position === undefined ? '' : ` (line ${text.slice(0, Number(position)).split('\n').length})`;
    return { problem: `is not valid JSON${where}`, missing: false };
  }
}

/** `ENOENT` and the like. Node's errors are not `instanceof Error` in every realm, so only the code is asked. */
export function errorCode(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'unknown error';
}
