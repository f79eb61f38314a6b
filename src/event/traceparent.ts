import { context, isSpanContextValid, type SpanContext, trace } from '@opentelemetry/api';

/** The field `traceparent` of an event: the text of W3C Trace Context, section 3.2, and a span's context. */

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-|$)/;

const VERSION_00_CHARS = 55;

/** The text of a span's context, as version 00 writes it. */
export function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

/** The context that a text names; undefined for one that names none (version ff, IDs of zeros, 00 with a tail). */
export function spanContextOf(traceparent: string): SpanContext | undefined {
  const [, version, traceId = '', spanId = '', flags = ''] = form.exec(traceparent) ?? [];
  const found = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  // Version 00 has exactly these parts; a later one may have more.
  if (version === '00' && traceparent.length !== VERSION_00_CHARS) return undefined;
  return version === 'ff' || !isSpanContextValid(found) ? undefined : found;
}

/** The span in which the caller runs, if the process traces. Without an SDK it costs next to nothing. */
export function activeTraceparent(): string | undefined {
  const active = trace.getSpanContext(context.active());
  return active !== undefined && isSpanContextValid(active) ? traceparentOf(active) : undefined;
}
