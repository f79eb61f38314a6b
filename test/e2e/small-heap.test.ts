import { spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What V8 goes by after `keepHeapSmall()`, in a process of its own. */
function growthPercent(...flags: readonly string[]): string | undefined {
  // V8 tells its flags in no other way: it prints them, each with its value, and ends the process.
  const source = `
    import { setFlagsFromString } from 'node:v8';
    import { keepHeapSmall } from ${JSON.stringify(new URL('../../dist/cli/worker.js', import.meta.url).href)};
    keepHeapSmall();
    setFlagsFromString('--help');
  `;
  const folder = mkdtempSync(join(tmpdir(), 'imsync-flags-'));
  try {
    const file = join(folder, 'flags');
    // Into a file: the worker's modules make a pipe non-blocking, and V8 does not wait for its reader.
    const { stderr } = spawnSync(process.execPath, [...flags, '--input-type=module', '--eval', source], {
      stdio: ['ignore', openSync(file, 'w'), 'pipe'],
    });
    expect(String(stderr)).toBe('');
    return /default: --heap-growing-percent=(\d+)/.exec(readFileSync(file, 'utf8'))?.[1];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a heap is cleared up after growth by half; V8 knows the flag', () => {
  expect(growthPercent()).toBe('50');
});

test.each(['--heap-growing-percent=80', '--heap_growing_percent=80'])(
  'what an operator chose stands: %s',
  (flag) => {
    expect(growthPercent(flag)).toBe('80');
  },
);
