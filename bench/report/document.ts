import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { draw } from './draw.ts';
import { benchmarksMarkdown } from './markdown.ts';
import type { BenchResult } from './row.ts';

const docs = new URL('../../docs/', import.meta.url);

/**
 * Writes docs/benchmarks.json, docs/benchmarks.md and the charts. Benchmarks that were not run keep what the JSON
 * holds of them, each with its own date and machine. Answers the files written, by their paths in the project.
 */
export function writeDocument(results: readonly BenchResult[], order: readonly string[]): string[] {
  const kept = readKept();
  const merged = order.flatMap(
    (name) =>
      results.find((result) => result.name === name) ?? kept.find((result) => result.name === name) ?? [],
  );
  const charts = merged.flatMap((result) => result.charts);
  mkdirSync(new URL('img/', docs), { recursive: true });
  const written: string[] = [];
  const write = (path: string, text: string): void => {
    writeFileSync(new URL(path, docs), text);
    written.push(`docs/${path}`);
  };
  write('benchmarks.json', `${JSON.stringify(merged)}\n`);
  write('benchmarks.md', benchmarksMarkdown(merged));
  for (const chart of charts) write(`img/${chart.file}`, draw(chart));
  return written;
}

function readKept(): BenchResult[] {
  try {
    return JSON.parse(readFileSync(fileURLToPath(new URL('benchmarks.json', docs)), 'utf8')) as BenchResult[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
