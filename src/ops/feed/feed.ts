import { type CallReport, countsOf, type DeliveryReport } from '../../delivery/delivery-options.ts';
import type { Answer, FaultName } from '../../im/answers.ts';
import type { CommandName } from '../../im/commands.ts';
import { withoutUsers } from '../../im/redact.ts';
import type { Verdict } from '../../im/verdicts.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { type FeedBatch, type FeedCall, readRequest } from './record.ts';
import { type Waiting, Watchers } from './watchers.ts';

/** How long a record waits for others that go into the same message. */
const FLUSH_EVERY_MS = 100;

export type Feed = ReturnType<typeof startFeed>;

/**
 * The worker's side of the feed. It sends nothing until a watcher asks, and a few seconds after the last one
 * asked it sends nothing again. No call waits for it: a report leaves a record here, and a timer publishes
 * what there is, one message at a time. What Redis does not take is counted and dropped.
 */
export function startFeed(options: {
  readonly connections: {
    /** Listens to the news of holds already, which keeps it alive (listenOn in redis/connect.ts). */
    readonly watch: RedisClient;
    /** Fails at once while Redis is away. */
    readonly ops: RedisClient;
  };
  readonly keys: Keys;
  readonly id: string;
  readonly version: string;
  /** The channel of requests cannot be listened to. The worker works without a feed. */
  readonly onTrouble: (error: Error) => void;
}) {
  const { connections, keys, id, version, onTrouble } = options;
  const watchers = new Watchers();
  let clockAheadMs = 0;
  let timer: NodeJS.Timeout | undefined;
  let isPublishing = false;

  const publish = async (waiting: Waiting): Promise<void> => {
    const { watcher, leftOut, records } = waiting;
    const batch: FeedBatch = { worker: id, version, leftOut, records };
    try {
      await connections.ops.publish(keys.feedPrefix + watcher, JSON.stringify(batch));
    } catch {
      watchers.lost(waiting);
    }
  };
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  const flush = async (): Promise<void> => {
    if (isPublishing) return;
    isPublishing = true;
    await Promise.all(watchers.take(performance.now()).map(publish));
    isPublishing = false;
    if (watchers.isEmpty) stop();
  };
  const hear = (channel: string, message: string): void => {
    const request = channel === keys.feedRequests ? readRequest(message) : undefined;
    if (request === undefined) return;
    watchers.heard(request, performance.now());
    timer ??= setInterval(() => void flush(), FLUSH_EVERY_MS).unref();
  };
  connections.watch.on('message', hear);
  connections.watch.subscribe(keys.feedRequests).catch(onTrouble);

  const called = (call: Called): void => {
    if (watchers.isEmpty) return;
    watchers.add(feedCallOf(call, Date.now() - clockAheadMs), call.users, performance.now());
  };
  const report: DeliveryReport = {
    called(call) {
      if (watchers.isEmpty) return;
      const { request, slotClass, tries, verdict, answer, durationMs } = call;
      const users = request.users.map(({ userId }) => userId);
      const own = { command: request.command, slotClass, users, tries, verdict, answer, durationMs };
      called({ ...own, ...countsOf(call) });
    },
    settled(_callId, { outcomes }, settled) {
      if (settled.kind === 'lost' || watchers.isEmpty) return;
      for (const outcome of outcomes) {
        const record = { kind: 'outcome', at: settled.nowMs, ...outcome } as const;
        watchers.add(record, [outcome.userId], performance.now());
      }
    },
    gaveUp() {},
    throttled() {},
  };
  return {
    report,
    /** The probe of a hold, which carries no user's event. */
    probed(verdict: Verdict, answer: Answer, durationMs: number): void {
      called({ ...PROBE, verdict, answer, durationMs });
    },
    /** This machine's clock is ahead of Redis's by so much; below 0: behind. */
    clockIsAhead(ms: number): void {
      clockAheadMs = ms;
    },
    /** Sends what is left, and does not wait for it. */
    close(): void {
      connections.watch.off('message', hear);
      if (timer !== undefined) void flush();
      stop();
    },
  };
}

/** A call as the feed tells it: one for users, or the probe of a hold. */
interface Called extends CallCounts, Pick<CallReport, 'tries' | 'verdict' | 'answer' | 'durationMs'> {
  readonly command: CommandName;
  readonly slotClass: string;
  readonly users: readonly string[];
}

type CallCounts = ReturnType<typeof countsOf>;

const PROBE = {
  ...{ command: 'account_check' as const, slotClass: 'probe', users: [], tries: 0 },
  ...{ imported: 0, deadLettered: 0, later: 0, again: 0 },
};

function feedCallOf(call: Called, at: number): FeedCall {
  const { command, slotClass, users, tries, verdict, answer, durationMs } = call;
  const { imported, deadLettered, later, again } = call;
  const fault = answer.kind === 'fault' ? answer.fault : undefined;
  return {
    ...{ kind: 'call', at: Math.round(at), command, class: slotClass, users: users.length, tries },
    answer: answerOf(verdict, fault),
    errorInfo: verdict.class === 'done' ? '' : withoutUsers(verdict.errorInfo, users),
    ...{ ms: Math.round(durationMs), imported, deadLettered, later, again },
  };
}

/** API codes have five digits and HTTP statuses three, so that one text tells them apart. */
function answerOf({ errorCode, httpStatus }: Verdict, fault: FaultName | undefined): string {
  return fault ?? String(errorCode === 0 && httpStatus !== 200 ? httpStatus : errorCode);
}
