import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What V8 goes by after `keepHeapSmall()`, in a process of its own. */
async function growthPercent(...flags: readonly string[]): Promise<string | undefined> {
  // V8 tells its flags in no other way: it prints them, each with its value, and ends the process.
  const source = `
    import { setFlagsFromString } from 'node:v8';
    import { keepHeapSmall } from ${JSON.stringify(new URL('../../dist/cli/small-heap.js', import.meta.url).href)};
    keepHeapSmall();
    setFlagsFromString('--help');
  `;
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [...flags, '--input-type=module', '--eval', source],
    { maxBuffer: 10_000_000 },
  );
  expect(stderr).toBe('');
  return /default: --heap-growing-percent=(\d+)/.exec(stdout)?.[1];
}

test('a heap is cleared up after growth by half; V8 knows the flag', async () => {
  expect(await growthPercent()).toBe('50');
});

test.each(['--heap-growing-percent=80', '--heap_growing_percent=80'])(
  'what an operator chose stands: %s',
  async (flag) => {
    expect(await growthPercent(flag)).toBe('80');
  },
);
