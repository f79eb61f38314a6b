/** What cells may be separated by; the first wins a tie. */
const CANDIDATES = [',', ';', '\t', '|'] as const;

/** The separator of a CSV file by its first line, what stands in quotes left aside; ',' when none is seen. Pure. */
export function delimiterOf(firstLine: string): string {
  const bare = firstLine.replace(/"(?:[^"]|"")*"/g, '');
  let best: string = CANDIDATES[0];
  let most = 0;
  for (const candidate of CANDIDATES) {
    const count = bare.split(candidate).length - 1;
    if (count > most) [best, most] = [candidate, count];
  }
  return best;
}

/** `--delimiter`: a character, or its name. Undefined for anything else. Pure. */
export function readDelimiter(text: string): string | undefined {
  const named = { tab: '\t', '\\t': '\t', comma: ',', semicolon: ';', pipe: '|' }[text.toLowerCase()];
  if (named !== undefined) return named;
  return [...text].length === 1 && !/["\r\n]/.test(text) ? text : undefined;
}
