import { readFileSync } from 'node:fs';

/** What a README names, for comparing it with what there is. */
export interface Readme {
  readonly text: string;
  /** Fenced code, block by block, without its fences. */
  readonly blocks: readonly string[];
  /** `imsync` command lines in code, without `imsync`, each once. */
  readonly commands: readonly string[];
  readonly npmScripts: readonly string[];
  readonly variables: readonly string[];
  /** Targets of links inside the repository. */
  readonly files: readonly string[];
  /** First and second cell of the rows about variables. */
  readonly variableRows: ReadonlyMap<string, string>;
}

/** `name` of a file at the top of the repository. */
export function readReadme(name: string): Readme {
  const text = readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
  const blocks = [...text.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code);
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '');
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
  const lines = [...blocks.flatMap((block) => block.split('\n')), ...spans];
  const rows = [...text.matchAll(/^\| `(IMSYNC_\w+)` \| (.*?) \|/gm)];
  return {
    text,
    blocks,
    commands: once(lines.flatMap((line) => /^imsync ([a-z].*)$/.exec(line)?.[1] ?? [])),
    npmScripts: once(
      [...text.matchAll(/npm (?:run )?(demo|test|build|(?<=run )[\w:]+)/g)].map(([, n = '']) => n),
    ),
    variables: once(text.match(/\bIMSYNC_[A-Z0-9_]+[A-Z0-9]/g) ?? []),
    files: once([...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path = '']) => path)),
    variableRows: new Map(rows.map(([, name = '', fallback = '']) => [name, fallback])),
  };
}

function once(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}
