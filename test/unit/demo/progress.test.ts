import { createOutput } from '../../../src/demo/progress.ts';

function fakeStream(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  let text = '';
  const stream = { isTTY, columns: 20, write: (chunk: string) => (text += chunk) };
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text };
}

describe('output of the demo', () => {
  test('without a terminal it writes only lines and no terminal codes', () => {
    const { stream, text } = fakeStream(false);
    const output = createOutput(stream);
    output.line('one');
    output.block(['never']);
    output.line('two');
    expect(text()).toBe('one\ntwo\n');
  });

  test('on a terminal the block is redrawn below the lines', () => {
    const { stream, text } = fakeStream(true);
    const output = createOutput(stream);
    output.block(['a', 'b']);
    output.block(['c', 'd']);
    output.line('stays');
    output.block(['e']);
    expect(text()).toBe('a\nb\n\x1b[2A\x1b[0Jc\nd\n\x1b[2A\x1b[0Jstays\ne\n');
  });

  test('a line of the block never wraps', () => {
    const { stream, text } = fakeStream(true);
    createOutput(stream).block(['李'.repeat(50)]);
    expect([...text().trimEnd()]).toHaveLength(19);
  });
});
