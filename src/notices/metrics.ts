import { Counter, type Registry } from 'prom-client';
import { type ReceiverKind, receiverKinds } from '../config/receivers.ts';

const results = ['sent', 'failed', 'dropped'] as const;

export type NoticeMetrics = ReturnType<typeof createNoticeMetrics>;

/** Only where notices are on. Names are a contract. */
export function createNoticeMetrics(registry: Registry) {
  const messages = new Counter({
    name: 'imsync_notices_total',
    help: 'Messages to receivers of notices: sent, failed (tried again); and notices that were given up, dropped. The receiver is its kind, several of one kind count together.',
    labelNames: ['receiver', 'result'],
    registers: [registry],
  });
  for (const receiver of receiverKinds) for (const result of results) messages.inc({ receiver, result }, 0);
  return {
    count: (receiver: ReceiverKind, result: (typeof results)[number], count: number) =>
      messages.inc({ receiver, result }, count),
  };
}
