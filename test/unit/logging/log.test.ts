import { type Gap, LogOutput } from '../../../src/logging/log.ts';

const { jest } = import.meta;

/** A standard output that takes so many bytes, and then fails with `code`. */
function setUp(maxBytes: number) {
  const sink = { room: 0, code: 'EAGAIN', text: '' };
  const gaps: Gap[] = [];
  const output = new LogOutput({
    write(text) {
      const bytes = Buffer.from(text);
      if (sink.room === 0) throw Object.assign(new Error('full'), { code: sink.code });
      const taken = bytes.subarray(0, sink.room);
      sink.room -= taken.length;
      sink.text += taken.toString('latin1');
      return taken.length;
    },
    maxBytes,
    onGapOver(gap) {
      gaps.push(gap);
      output.write(`gap ${gap.lines}\n`);
    },
  });
  return { output, sink, gaps };
}

describe('a log that cannot be written', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('keeps lines whole and in order, even if each is written in parts', () => {
    const { output, sink } = setUp(1_000);
    const lines = ['one\n', 'zw\u00f6lf\n', 'three\n', 'four\n'];
    sink.room = 2;
    for (const line of lines) output.write(line);
    while (sink.text.length < Buffer.byteLength(lines.join(''))) {
      sink.room = 3;
      jest.advanceTimersByTime(1_000);
    }
    expect(Buffer.from(sink.text, 'latin1').toString()).toBe(lines.join(''));
    expect(output.droppedLines).toBe(0);
    // At once again, without a timer.
    sink.room = 100;
    output.write('last\n');
    expect(sink.text).toMatch(/last\n$/);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('drops whole lines beyond its bound until nothing waits, and reports the gap in their place', () => {
    const { output, sink, gaps } = setUp(10);
    sink.code = 'ENOSPC';
    const since = new Date();
    for (const line of ['1234\n', '5678\n', 'dropped\n', 'x\n']) output.write(line);
    expect(output.droppedLines).toBe(2);
    sink.room = 5;
    jest.advanceTimersByTime(1_000);
    // There is room in the buffer, but a line here would stand before the gap is told of.
    output.write('y\n');
    sink.room = 1_000;
    jest.advanceTimersByTime(1_000);
    output.write('after\n');
    expect(sink.text).toBe('1234\n5678\ngap 3\nafter\n');
    expect(gaps).toEqual([{ lines: 3, since, error: 'ENOSPC' }]);
    expect(output.droppedLines).toBe(3);
  });

  it('is tried again at least once a second', () => {
    const { output, sink } = setUp(10);
    output.write('line\n');
    jest.advanceTimersByTime(3_600_000);
    sink.room = 5;
    jest.advanceTimersByTime(1_000);
    expect(sink.text).toBe('line\n');
  });

  it('is waited for at the exit while a reader may come, but not for long', () => {
    jest.useRealTimers();
    const { output, sink } = setUp(1_000);
    output.write('line\n');
    const startedMs = performance.now();
    output.finish(60);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(60);
    sink.code = 'ENOSPC';
    // No deadline that a test could wait for: what cannot come in time is not waited for at all.
    output.finish(3_600_000);
    expect(sink.text).toBe('');
    sink.room = 5;
    output.finish(0);
    expect(sink.text).toBe('line\n');
  });
});
