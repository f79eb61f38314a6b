import { readFileSync } from 'node:fs';

/** A fenced block of a Markdown page. */
export interface Fence {
  readonly language: string;
  readonly code: string;
}

/** What a page names, for comparing it with what there is. */
export interface Page {
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Fence[];
  /** `imsync` command lines in code, without `imsync`, each once. */
  readonly commands: readonly string[];
  readonly npmScripts: readonly string[];
  readonly variables: readonly string[];
  /** First and second cell of the rows about variables. */
  readonly variableRows: ReadonlyMap<string, string>;
}

/** `path` from the top of the repository. */
export function readPage(path: string): Page {
  const text = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  const blocks = fencesOf(text);
  const prose = text.replace(/^```[\s\S]*?^```/gm, '');
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
  const lines = [...blocks.flatMap(({ code }) => code.split('\n')), ...spans];
  const rows = [...text.matchAll(/^\| `((?:IMSYNC_\w+|[A-Z]+_PROXY))` \| (.*?) \|/gm)];
  return {
    path,
    text,
    blocks,
    commands: once(lines.flatMap((line) => /^imsync ([a-z].*)$/.exec(line)?.[1] ?? [])),
    npmScripts: once(
      [...text.matchAll(/npm (?:run )?(demo|test|build|(?<=run )[\w:]+)/g)].map(([, name = '']) => name),
    ),
    variables: once(text.match(/\bIMSYNC_[A-Z0-9_]+[A-Z0-9]/g) ?? []),
    variableRows: new Map(rows.map(([, name = '', fallback = '']) => [name, fallback])),
  };
}

export function fencesOf(page: string): Fence[] {
  return [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', code = '']) => ({
    language,
    code,
  }));
}

function once(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}
