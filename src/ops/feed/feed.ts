import { type CallReport, countsOf, type DeliveryReport } from '../../delivery/delivery-options.ts';
import type { Answer } from '../../im/answers.ts';
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

  const add = (call: Omit<FeedCall, 'kind' | 'at'>, users: readonly string[]): void => {
    const at = Math.round(Date.now() - clockAheadMs);
    watchers.add({ kind: 'call', at, ...call }, users, performance.now());
  };
  const report: DeliveryReport = {
    called(call) {
      if (watchers.isEmpty) return;
      const { request, slotClass, tries } = call;
      const users = request.users.map(({ userId }) => userId);
      const what = { command: request.command, class: slotClass, users: users.length, tries };
      add({ ...what, ...answerFields(call, users), ...countsOf(call) }, users);
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
      if (!watchers.isEmpty) add({ ...PROBE, ...answerFields({ verdict, answer, durationMs }, []) }, []);
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

const PROBE = {
  ...{ command: 'account_check', class: 'probe', users: 0, tries: 0 },
  ...{ imported: 0, deadLettered: 0, later: 0, again: 0 },
};

function answerFields(
  { verdict, answer, durationMs }: Pick<CallReport, 'verdict' | 'answer' | 'durationMs'>,
  users: readonly string[],
) {
  const { class: verdictClass, errorCode, errorInfo, httpStatus } = verdict;
  // API codes have five digits and HTTP statuses three, so that one text tells them apart.
  const code = errorCode === 0 && httpStatus !== 200 ? httpStatus : errorCode;
  return {
    answer: answer.kind === 'fault' ? answer.fault : String(code),
    errorInfo: verdictClass === 'done' ? '' : withoutUsers(errorInfo, users),
    ms: Math.round(durationMs),
  };
}
