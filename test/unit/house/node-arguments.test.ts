import { readFileSync } from 'node:fs';
import { AS_SHIPPED } from '../../../bench/stage/stage.ts';

const read = (file: string): string => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

test('the image, the systemd unit and the benchmarks start Node alike', () => {
  const entry = /^ENTRYPOINT (\[.*\])$/m.exec(read('Dockerfile'))?.[1] ?? '[]';
  expect(JSON.parse(entry)).toEqual(['node', ...AS_SHIPPED, 'dist/cli.js']);
  const [, ...words] = /^ExecStart=(.*)$/m.exec(read('deploy/imsync.service'))?.[1]?.split(' ') ?? [];
  expect(words).toEqual([...AS_SHIPPED, expect.stringMatching(/\/dist\/cli\.js$/), 'worker']);
});
