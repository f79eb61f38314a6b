import { createRate, rowsText, startProgress } from '../../../src/cli/progress.ts';

function fakeStream(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  let text = '';
  const stream = { isTTY, columns: 40, write: (chunk: string) => (text += chunk) };
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text };
}

test('without a terminal the progress is lines without terminal codes', () => {
  const { stream, text } = fakeStream(false);
  const progress = startProgress(0, stream);
  progress.show('one', 0.5);
  progress.say('two');
  progress.end();
  expect(text()).toBe('one\ntwo\n');
});

test('without a terminal a line that says the same again is printed once', () => {
  const { stream, text } = fakeStream(false);
  const progress = startProgress(0, stream);
  for (const line of ['one', 'one', 'two', 'two']) progress.show(line);
  expect(text()).toBe('one\ntwo\n');
});

test('on a terminal what is said stands above the line, which is redrawn and never wraps', () => {
  const { stream, text } = fakeStream(true);
  const progress = startProgress(0, stream);
  progress.show('x'.repeat(50), 0.5);
  progress.say('stays');
  progress.end();
  const clear = '\x1b[1G\x1b[2K';
  expect(text()).toBe(`${clear}[##########----------] ${'x'.repeat(16)}${clear}stays\n${clear}`);
});

test('the rate covers the last half minute and starts with the first call', () => {
  const rate = createRate();
  expect(rate(1_000, 0)).toBe(0);
  expect(rate(3_000, 2_000)).toBe(1_000);
  for (let s = 3; s <= 60; s++) rate(3_000 + 100 * (s - 2), s * 1_000);
  expect(rate(3_000 + 100 * 59, 61_000)).toBeCloseTo(100);
});

test('a progress line shows the share, the rate and the time left', () => {
  expect(rowsText(250_000, 1_000_000, 9_800)).toBe('25 % of about 1,000,000 rows, 9,800/s, 1 min 17 s left');
  expect(rowsText(250_000, undefined, 9_800)).toBe('250,000 rows, 9,800/s');
  expect(rowsText(250_000, 1_000_000, 0)).toBe('25 % of about 1,000,000 rows, 0/s');
  expect(rowsText(0, 0, 0)).toBe('0 % of about 0 rows, 0/s');
});
