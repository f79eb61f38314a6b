/** A fenced block of a Markdown page. */
export interface Fence {
  readonly language: string;
  readonly code: string;
}

export function fencesOf(page: string): Fence[] {
  return [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', code = '']) => ({
    language,
    code,
  }));
}
