import { groupOf } from './message.ts';
import type { News, Notice } from './notice.ts';

/** A notice on its way, and the receivers that have not taken it yet (their IDs). */
export interface Queued {
  readonly notice: Notice;
  readonly left: readonly string[];
}

/** What was told, and what of it is on its way: all that a sender knows. It stands in Redis as JSON. */
export interface Outbox {
  /** The number of the next notice. */
  readonly next: number;
  readonly queued: readonly Queued[];
}

/** Notices that wait at most; the oldest make room. */
const MOST_QUEUED = 50;
/** A notice is tried for so long. Then it is too old to help anybody. */
const TRIED_FOR_MS = 3_600_000;

/** A notice that a receiver will not get. */
export interface Dropped {
  readonly receiverId: string;
  readonly notice: Notice;
}

export function withNews(outbox: Outbox, news: readonly News[], receiverIds: readonly string[]): Outbox {
  const { next } = outbox;
  const fresh = news.map(
    (one, i): Queued => ({ notice: { id: String(next + i), ...one }, left: receiverIds }),
  );
  return { next: next + news.length, queued: [...outbox.queued, ...fresh] };
}

/**
 * Takes out what is too old, what is too much, and what is for receivers that are configured no longer. Answers
 * all that was dropped.
 */
export function pruned(
  outbox: Outbox,
  receiverIds: readonly string[],
  nowMs: number,
): { outbox: Outbox; dropped: readonly Dropped[] } {
  const dropped: Dropped[] = [];
  const kept = outbox.queued.map(({ notice, left }, at) => {
    const isKept = nowMs - notice.at < TRIED_FOR_MS && at >= outbox.queued.length - MOST_QUEUED;
    const gone = left.filter((receiverId) => !isKept || !receiverIds.includes(receiverId));
    dropped.push(...gone.map((receiverId) => ({ receiverId, notice })));
    return { notice, left: left.filter((receiverId) => !gone.includes(receiverId)) };
  });
  return { outbox: { ...outbox, queued: kept.filter(({ left }) => left.length > 0) }, dropped };
}

/** The notices of the next message to a receiver; [] when it has all. */
export function nextFor(outbox: Outbox, receiverId: string, sdkAppId: number): readonly Notice[] {
  const waiting = outbox.queued.filter(({ left }) => left.includes(receiverId));
  return groupOf(
    waiting.map(({ notice }) => notice),
    sdkAppId,
  );
}

/** After a receiver has taken these notices. */
export function without(outbox: Outbox, receiverId: string, taken: readonly Notice[]): Outbox {
  const ids = new Set(taken.map(({ id }) => id));
  const queued = outbox.queued
    .map(({ notice, left }) => ({
      notice,
      left: ids.has(notice.id) ? left.filter((other) => other !== receiverId) : left,
    }))
    .filter(({ left }) => left.length > 0);
  return { ...outbox, queued };
}
