import { kindOf, type Receiver } from '../config/receivers.ts';
import type { FleetState } from '../hold/hold-state.ts';
import { listRuns } from '../ledger/letters/redrive-history.ts';
import { readTotals } from '../ledger/totals.ts';
import { Loop } from '../lifecycle/loop.ts';
import { within } from '../lifecycle/wait.ts';
import type { Logger } from '../logging/log.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { importsAfter } from '../tasks/backfill/import-history.ts';
import { readTally } from '../tasks/backfill/stream-writer.ts';
import { changes, nothingTold, type Seen, type Told } from './changes.ts';
import { Courier, type Delivery } from './courier.ts';
import { createLease } from './lease.ts';
import type { NoticeMetrics } from './metrics.ts';
import { nextFor, type Outbox, pruned, withNews, without } from './outbox.ts';
import { send } from './send.ts';

/** How often the sender looks at the fleet and keeps its lease, and how often others ask for it. */
const LOOK_EVERY_MS = 5_000;
/** Each probe of a hold is a change: not every one needs a look of its own. */
const LOOKS_APART_MS = 1_000;
/** Every so many looks, the ends of redrives and imports are read. */
const TASKS_EVERY_LOOKS = 6;
/** A process that stops waits so long for the answers of receivers, and for Redis. */
const LEAVE_MS = 2_000;

interface State {
  readonly told: Told;
  readonly outbox: Outbox;
}

export interface SenderOptions {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly processId: string;
  readonly sdkAppId: number;
  readonly oldestAfterMs: number;
  /** The receivers as they are now; reads their file. Throws when it cannot be read. */
  readonly receivers: () => readonly Receiver[];
  readonly metrics: NoticeMetrics;
  readonly log: Logger;
  readonly onTrouble: (error: Error) => void;
}

/**
 * Sends the notices of the fleet. The loop runs in every process; the one that holds the lease in Redis sends.
 *
 * 1. A look takes or keeps the lease, reads the fleet and compares it with what was told last.
 * 2. What is new goes into the outbox. The state is stored before anything is sent.
 * 3. Each receiver has a courier, so that one that is slow or away delays no other and no look.
 *
 * A sender that dies between a receiver's answer and the storing of it leaves the notice in the outbox: the
 * next one sends it once more.
 */
export class NoticeSender {
  readonly #options: SenderOptions;
  readonly #lease: ReturnType<typeof createLease>;
  readonly #loop: Loop;
  readonly #couriers = new Map<string, Courier>();
  readonly #leaving = new AbortController();
  /** Undefined while another process is the sender. */
  #state: State | undefined;
  #isStored = true;
  #receivers: readonly Receiver[];
  #lookAtMs = Number.NEGATIVE_INFINITY;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #looks = 0;
  /** Redis's clock at the last look. */
  #nowMs = 0;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#lease = createLease(options.redis, options.keys, options.processId);
    this.#receivers = options.receivers();
    this.#loop = new Loop({
      turn: () => this.#turn(),
      errorRestMs: LOOK_EVERY_MS,
      onError: options.onTrouble,
    });
    this.#loop.run();
  }

  get deadline(): Loop {
    return this.#loop;
  }

  /** The fleet was held, freed, paused or resumed: the sender looks soon. */
  fleetChanged(): void {
    if (this.#state === undefined) return;
    this.#lookAtMs = Math.min(this.#lookAtMs, this.#lookedAtMs + LOOKS_APART_MS);
    this.#loop.wake();
  }

  /** Waits a moment for answers that are due, and leaves the rest to another process. Never rejects. */
  async close(): Promise<void> {
    const { onTrouble } = this.#options;
    const leave = async (): Promise<void> => {
      await this.#loop.stop();
      await Promise.all([...this.#couriers.values()].map((courier) => courier.ended()));
      if (this.#state !== undefined) await this.#store('release');
    };
    const left = leave();
    await within(left, LEAVE_MS, 'too late').catch(() => this.#leaving.abort());
    await within(left, LEAVE_MS, 'the lease of the notices could not be given back in time').catch(onTrouble);
  }

  async #turn(): Promise<void> {
    if (performance.now() >= this.#lookAtMs) {
      // Before the look, so that a change that comes meanwhile is looked at again.
      this.#lookedAtMs = performance.now();
      this.#lookAtMs = this.#lookedAtMs + LOOK_EVERY_MS;
      await this.#look();
    }
    if (this.#state !== undefined) {
      this.#prune();
      if (!this.#isStored) await this.#store('save');
      this.#sendNext();
    }
    await this.#loop.rest(this.#restMs());
  }

  /** Takes or keeps the lease. As the sender, it notices what is new. */
  async #look(): Promise<void> {
    const { oldestAfterMs, log } = this.#options;
    const claimed = await this.#lease.claim();
    if (claimed === undefined) {
      this.#state = undefined;
      return;
    }
    const { isKept, stored, fleet } = claimed;
    if (!isKept || this.#state === undefined) {
      log.info('this worker sends the notices of the fleet from now on');
      this.#state = stored === '' ? undefined : (JSON.parse(stored) as State);
      this.#looks = 0;
    }
    const seen = await this.#see(fleet);
    this.#nowMs = seen.nowMs;
    const { told: before, outbox } = this.#state ?? {
      told: nothingTold(seen, seen.tasks?.redrives ?? []),
      outbox: { next: 1, queued: [] },
    };
    const { told, news } = changes(before, seen, oldestAfterMs);
    // News is for those who are configured now; their file may have been changed since the last look.
    this.#readReceivers();
    const ids = this.#receivers.map((receiver) => receiver.id);
    const state = { told, outbox: withNews(outbox, news, ids) };
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    this.#isStored = false;
  }

  async #see({ hold, pause }: FleetState): Promise<Seen> {
    const { redis, keys } = this.#options;
    const totals = await readTotals(redis, keys);
    const { nowMs, oldestUnfinishedMs, deadByReason, deadByCode } = totals;
    const inCalls = Object.values(totals.usersInCalls).reduce((sum, n) => sum + n, 0);
    const waiting = totals.waiting + totals.parked + inCalls;
    const tasks = this.#looks++ % TASKS_EVERY_LOOKS === 0 ? await this.#tasks() : undefined;
    return { nowMs, hold, pause, waiting, oldestUnfinishedMs, deadByReason, deadByCode, tasks };
  }

  async #tasks(): Promise<Seen['tasks']> {
    const { redis, keys } = this.#options;
    const ended = this.#state === undefined ? [] : await importsAfter(redis, keys, this.#state.told.imports);
    const imports = await Promise.all(
      ended.map(async (one) => ({ ended: one, tally: await readTally(redis, keys, one.tally) })),
    );
    return { redrives: await listRuns({ redis, keys }), imports };
  }

  /** Gives up what no receiver will get any more. */
  #prune(): void {
    if (this.#state === undefined) return;
    const { log, metrics } = this.#options;
    const ids = this.#receivers.map((receiver) => receiver.id);
    const { outbox, dropped } = pruned(this.#state.outbox, ids, this.#nowMs);
    if (outbox.queued.length === this.#state.outbox.queued.length && dropped.length === 0) return;
    this.#state = { ...this.#state, outbox };
    this.#isStored = false;
    for (const id of new Set(dropped.map(({ receiverId }) => receiverId))) {
      const lost = dropped.filter(({ receiverId }) => receiverId === id).map(({ notice }) => notice.kind);
      const receiver = this.#receivers.find((one) => one.id === id);
      const why = receiver === undefined ? ': this receiver is configured no longer' : '';
      metrics.count(kindOf(id), 'dropped', lost.length);
      log.warn(
        { receiver: id, host: receiver?.host, notices: lost },
        `notices were not delivered and are given up${why}`,
      );
    }
  }

  /** Stores the state, unless another process has become the sender. */
  async #store(op: 'save' | 'release'): Promise<void> {
    // What changes from here on is stored at the next turn.
    this.#isStored = true;
    try {
      if (!(await this.#lease[op](JSON.stringify(this.#state)))) this.#state = undefined;
    } catch (error) {
      this.#isStored = false;
      throw error;
    }
  }

  #sendNext(): void {
    const { sdkAppId } = this.#options;
    const outbox = this.#state?.outbox;
    if (outbox === undefined || outbox.queued.length === 0) return;
    this.#readReceivers();
    for (const receiver of this.#receivers) {
      const courier = this.#courierOf(receiver.id);
      const notices = nextFor(outbox, receiver.id, sdkAppId);
      if (notices.length === 0 || courier.freeInMs(performance.now()) !== 0) continue;
      const deliver = () => send(receiver, notices, sdkAppId, this.#leaving.signal);
      courier.carry(receiver, notices, deliver, (delivery) => this.#delivered(delivery));
    }
  }

  /** The file may have been changed. While it cannot be read, the last receivers count. */
  #readReceivers(): void {
    try {
      this.#receivers = this.#options.receivers();
    } catch (error) {
      this.#options.onTrouble(error as Error);
    }
  }

  #delivered({ receiver, notices, refusal, failedBefore }: Delivery): void {
    const { log, metrics } = this.#options;
    const { id, kind, host } = receiver;
    const words = { receiver: id, host, notices: notices.map((notice) => notice.kind) };
    metrics.count(kind, refusal === undefined ? 'sent' : 'failed', 1);
    if (refusal === undefined) {
      log.info(words, failedBefore === 0 ? 'notices sent' : 'notices sent, the receiver takes them again');
      if (this.#state !== undefined) {
        this.#state = { ...this.#state, outbox: without(this.#state.outbox, id, notices) };
        this.#isStored = false;
      }
    } else if (failedBefore === 0 && !this.#leaving.signal.aborted)
      log.warn({ ...words, reason: refusal }, 'notices were not taken; they are tried again for an hour');
    this.#loop.wake();
  }

  #courierOf(receiverId: string): Courier {
    const known = this.#couriers.get(receiverId) ?? new Courier();
    this.#couriers.set(receiverId, known);
    return known;
  }

  /** Until the next look, or until a receiver may be called that has not taken all. */
  #restMs(): number {
    const nowMs = performance.now();
    const waiting = new Set(this.#state?.outbox.queued.flatMap(({ left }) => left));
    const frees = [...waiting].map((id) => this.#courierOf(id).freeInMs(nowMs) ?? LOOK_EVERY_MS);
    return Math.max(0, Math.min(this.#lookAtMs - nowMs, ...frees));
  }
}
