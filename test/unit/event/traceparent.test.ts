import { activeTraceparent, spanContextOf, traceparentOf } from '../../../src/event/traceparent.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

it('reads what it writes', () => {
  const text = `00-${traceId}-${spanId}-01`;
  expect(spanContextOf(text)).toEqual({ traceId, spanId, traceFlags: 1, isRemote: true });
  expect(traceparentOf({ traceId, spanId, traceFlags: 1 })).toBe(text);
  expect(traceparentOf({ traceId, spanId, traceFlags: 0 })).toBe(`00-${traceId}-${spanId}-00`);
});

it('reads a later version, which may have further parts', () => {
  expect(spanContextOf(`01-${traceId}-${spanId}-00-more`)).toMatchObject({ traceId, traceFlags: 0 });
});

it.each([
  ['', 'nothing'],
  ['junk', 'no form'],
  [`ff-${traceId}-${spanId}-01`, 'the version that is forbidden'],
  [`00-${'0'.repeat(32)}-${spanId}-01`, 'a trace ID of zeros'],
  [`00-${traceId}-${'0'.repeat(16)}-01`, 'a span ID of zeros'],
  [`00-${traceId.toUpperCase()}-${spanId}-01`, 'capitals'],
  [`00-${traceId}-${spanId}-01x`, 'a tail that is no part'],
  [`00-${traceId}-${spanId}-01-extra`, 'a part that version 00 does not have'],
  [`00-${traceId}-${spanId}-01-${'x'.repeat(10_000)}`, 'a long tail'],
])('takes %j for no context: %s', (text) => {
  expect(spanContextOf(text)).toBeUndefined();
});

it('names no span in a process that does not trace', () => {
  expect(activeTraceparent()).toBeUndefined();
});
