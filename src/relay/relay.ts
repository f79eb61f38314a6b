import { databaseAdvice, reasonOf } from '../database/database.ts';
import type { EventRules } from '../event/event.ts';
import { Loop, type LoopDeadline } from '../lifecycle/loop.ts';
import type { AppRedis } from '../redis/keys.ts';
import { hasRoomForIntake, type MemoryWatermark } from '../redis/memory-watermark.ts';
import type { AsideRow, Outbox, OutboxRow, Taken } from './outbox.ts';
import { appendEvents, FencedError, noteSetBack, raiseEpoch, readMark } from './relay-store.ts';
import { RecentIds, type SetBack } from './relayed-numbers.ts';
import { sortRows } from './row-event.ts';

/** Why rows wait although the database and Redis answer. */
export type RelayObstacle = 'intake' | 'memory';

/** What a relay tells as it happens. */
export interface RelayReport {
  /** The database was reached, or lost; for the latter with the reason and what to do. */
  database(state: 'reached' | 'lost', words: string): void;
  /** This relay works now, or another one does. */
  leads(does: boolean): void;
  /** Redis has these rows. `latencyMs`: from the row's creation to Redis's answer, on the database's clock. */
  relayed(latenciesMs: readonly number[]): void;
  aside(rows: readonly AsideRow[]): void;
  /** Rows that came back after they were done. */
  repeated(rows: number): void;
  /** The database went back to an earlier state, and gives numbers of relayed rows once more. */
  setBack(setBack: SetBack): void;
  /** Rows that wait, and the age of the oldest, after each look. */
  lag(waitingRows: number, oldestAgeMs: number): void;
  obstacle(obstacle: RelayObstacle | undefined): void;
}

export interface RelayOptions extends AppRedis {
  /** Its name in the status. */
  readonly name: string;
  readonly rules: EventRules;
  /** Entries of the intake above which rows wait in the database. */
  readonly maxWaiting: number;
  readonly memory: MemoryWatermark;
  /** Opens a session with the database. `wake` is to be called when rows may be waiting. */
  readonly open: (wake: () => void) => Promise<Outbox>;
  readonly report: RelayReport;
  /** Redis refused, or something of ours is wrong. */
  readonly onTrouble: (error: Error) => void;
}

/** Rows of one look: enough that a look over deleted rows costs little for each, few enough for the memory. */
const TAKE_ROWS = 2_000;
/** Events of one script: it holds Redis for some 2 ms. */
const APPEND_ROWS = 250;
/** Rests between looks that found nothing, without NOTIFY: the first, and the longest. Each doubles. */
const POLL_MS = { first: 20, most: 600 };
/** With NOTIFY a look needs no clock; this one is for a notice that was lost. It is a sign of life, too. */
const SIGN_MS = 5_000;
const STAND_BY_MS = 1_000;
const REOPEN_MS = { first: 500, most: 5_000 };
const OBSTACLE_MS = 200;
const PING_MS = 10_000;
const COUNT_EVERY_MS = 5_000;
/** Looks at the rows while none may be taken, so that metrics and alerts tell their age. */
const LAG_EVERY_MS = 5_000;

/** What a session with the database has cost when it fails: the loop opens another one. */
class DatabaseLostError extends Error {}

/**
 * Brings rows of the database to Redis, and deletes them there when Redis has them (decision 75).
 *
 *     closed ── open ──▶ standing by ── lock, then epoch ──▶ working: take, append, done
 *
 * An error of the database leads back to `closed`, an old epoch as well. One of Redis is waited for: rows that
 * it has acknowledged are done first, so that they do not come twice.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #loop: Loop;
  readonly #done = new RecentIds();
  #outbox: Outbox | undefined;
  /** Undefined while another relay works. */
  #epoch: number | undefined;
  #reopenMs = REOPEN_MS.first;
  #pollMs = POLL_MS.first;
  #intake = 0;
  #waiting = 0;
  #oldestAgeMs = 0;
  #lagAtMs = Number.NEGATIVE_INFINITY;
  #countedAtMs = Number.NEGATIVE_INFINITY;
  #signedAtMs = Number.NEGATIVE_INFINITY;
  #pinger: NodeJS.Timeout | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#loop = new Loop({
      turn: () => this.#turn(),
      errorRestMs: STAND_BY_MS,
      onError: (error) => {
        if (!(error instanceof DatabaseLostError)) options.onTrouble(error);
      },
    });
  }

  get deadline(): LoopDeadline {
    return this.#loop;
  }

  /** Whether this one works; another one may. */
  get leads(): boolean {
    return this.#epoch !== undefined;
  }

  get hasDatabase(): boolean {
    return this.#outbox !== undefined;
  }

  start(): void {
    this.#loop.run();
  }

  /** Finishes the step at hand. What is not done stays in the database. */
  async close(): Promise<void> {
    await this.#loop.stop();
    await this.#closeOutbox();
  }

  async #turn(): Promise<void> {
    const outbox = await this.#opened();
    if (outbox === undefined || !(await this.#isLeading(outbox))) return;
    if (await this.#isBlocked(outbox)) return;
    const taken = await this.#ask(() => outbox.take(TAKE_ROWS));
    if (taken.rows.length === 0) await this.#rest(outbox);
    else await this.#relay(outbox, taken);
  }

  async #relay(outbox: Outbox, { rows, nowMs }: Taken): Promise<void> {
    const { rules, report } = this.#options;
    const takenAtMs = performance.now();
    this.#pollMs = POLL_MS.first;
    const takenBack = outbox.numbers === undefined ? 0 : this.#done.takenBack(rows);
    if (takenBack > 0) await this.#setBack({ rows: takenBack }, []);
    const again = this.#done.countOf(rows);
    if (again > 0) report.repeated(again);
    this.#waiting = await this.#countRows(outbox, rows);
    this.#tellLag(rows, nowMs);
    const { events, relayed, bad } = sortRows(rows, rules);
    const acknowledged: OutboxRow[] = [];
    try {
      for (let from = 0; from < events.length || from === 0; from += APPEND_ROWS) {
        const isLast = from + APPEND_ROWS >= events.length;
        await this.#append(events.slice(from, from + APPEND_ROWS), isLast ? outbox.mark : undefined);
        acknowledged.push(...relayed.slice(from, from + APPEND_ROWS));
      }
    } finally {
      // Also when Redis refused the rest: what it has must not be added again.
      if (acknowledged.length > 0) {
        const elapsedMs = performance.now() - takenAtMs;
        report.relayed(acknowledged.map(({ createdAtMs }) => Math.max(0, nowMs - createdAtMs + elapsedMs)));
        await this.#ask(() => outbox.done(acknowledged));
        this.#done.add(acknowledged);
      }
    }
    if (bad.length > 0) {
      await this.#ask(() => outbox.aside(bad));
      report.aside(bad);
    }
    if (rows.length < TAKE_ROWS) {
      this.#waiting = 0;
      this.#tellLag([], nowMs);
    }
  }

  /** Adds events to the stream. Without events it is a sign of life. */
  async #append(events: readonly (readonly string[])[], mark: Outbox['mark']): Promise<void> {
    const { redis, keys, name: relay } = this.#options;
    const lag = { waiting: this.#waiting, oldestAgeMs: Math.round(this.#oldestAgeMs) };
    const news = { relay, server: this.#outbox?.server ?? '', ...lag };
    try {
      this.#intake = await appendEvents({ redis, keys }, { ...news, epoch: this.#epoch ?? 0, events, mark });
      this.#signedAtMs = performance.now();
    } catch (error) {
      if (error instanceof FencedError) await this.#closeOutbox();
      throw error;
    }
  }

  /** True while rows must wait in the database. It rests then, and looks now and then how many wait and how long. */
  async #isBlocked(outbox: Outbox): Promise<boolean> {
    const { memory, maxWaiting, report } = this.#options;
    const isFull = !hasRoomForIntake(await memory.look());
    const obstacle = isFull ? 'memory' : this.#intake >= maxWaiting ? 'intake' : undefined;
    report.obstacle(obstacle);
    if (obstacle === undefined) return false;
    if (performance.now() - this.#lagAtMs >= LAG_EVERY_MS) {
      const { rows, nowMs } = await this.#ask(() => outbox.take(TAKE_ROWS));
      this.#waiting = await this.#countRows(outbox, rows);
      this.#tellLag(rows, nowMs);
    }
    await this.#loop.rest(OBSTACLE_MS);
    // It tells how long the intake is.
    if (obstacle === 'intake') await this.#append([], undefined);
    return true;
  }

  #tellLag(rows: readonly OutboxRow[], nowMs: number): void {
    this.#lagAtMs = performance.now();
    const ages = rows.map(({ createdAtMs }) => nowMs - createdAtMs);
    this.#oldestAgeMs = Math.max(0, ...ages);
    this.#options.report.lag(this.#waiting, this.#oldestAgeMs);
  }

  async #rest(outbox: Outbox): Promise<void> {
    this.#waiting = 0;
    this.#tellLag([], 0);
    if (performance.now() - this.#signedAtMs >= SIGN_MS) await this.#append([], undefined);
    await this.#loop.rest(outbox.isWoken ? SIGN_MS : this.#pollMs);
    this.#pollMs = Math.min(POLL_MS.most, 2 * this.#pollMs);
  }

  async #countRows(outbox: Outbox, taken: readonly OutboxRow[]): Promise<number> {
    if (taken.length < TAKE_ROWS) return taken.length;
    if (performance.now() - this.#countedAtMs < COUNT_EVERY_MS) return this.#waiting;
    this.#countedAtMs = performance.now();
    return this.#ask(() => outbox.waiting(taken));
  }

  /** A session with the database. Without one it rests; undefined then. */
  async #opened(): Promise<Outbox | undefined> {
    if (this.#outbox !== undefined) return this.#outbox;
    const { open, report } = this.#options;
    try {
      this.#outbox = await this.#loop.idleUntil(open(() => this.#loop.wake()));
    } catch (error) {
      report.database('lost', wordsOf(error as Error));
      await this.#loop.rest(this.#reopenMs);
      this.#reopenMs = Math.min(REOPEN_MS.most, 2 * this.#reopenMs);
      return undefined;
    }
    this.#reopenMs = REOPEN_MS.first;
    report.database('reached', this.#outbox.server);
    return this.#outbox;
  }

  /** Whether this is the one relay that works. If another one is, it rests. */
  async #isLeading(outbox: Outbox): Promise<boolean> {
    if (this.#epoch !== undefined) return true;
    const { redis, keys, report } = this.#options;
    if (!(await this.#ask(() => outbox.lead()))) {
      report.leads(false);
      await this.#loop.rest(STAND_BY_MS);
      return false;
    }
    // While Redis is away nothing else asks the database, which would end a silent session. A ping that fails needs no
    // word: the next look at the rows meets the same error and reports it.
    clearInterval(this.#pinger);
    this.#pinger = setInterval(() => outbox.ping().catch(() => undefined), PING_MS);
    const epoch = await raiseEpoch({ redis, keys });
    await this.#beginNumbers(outbox);
    this.#epoch = epoch;
    report.leads(true);
    return true;
  }

  /**
   * Notices a database that went back, by its counter. One whose new rows have passed the old numbers already shows
   * itself at a look. Those rows are new: they are no repeats, and none is passed over.
   */
  async #beginNumbers({ numbers }: Outbox): Promise<void> {
    if (numbers === undefined) return;
    const { redis, keys } = this.#options;
    const kept = await readMark({ redis, keys }, numbers.name);
    const setBack = await this.#ask(() => numbers.begin(kept));
    if (setBack === undefined) return;
    this.#done.forgetAbove(BigInt(setBack.given));
    await this.#setBack(setBack, numbers.mark);
  }

  async #setBack(setBack: SetBack, mark: readonly string[]): Promise<void> {
    const { redis, keys, report } = this.#options;
    await noteSetBack({ redis, keys }, setBack, mark);
    report.setBack(setBack);
  }

  /** Asks the database. After an error the session is given up. */
  async #ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#loop.idleUntil(work());
    } catch (error) {
      await this.#closeOutbox();
      this.#options.report.database('lost', wordsOf(error as Error));
      throw new DatabaseLostError(reasonOf(error));
    }
  }

  async #closeOutbox(): Promise<void> {
    clearInterval(this.#pinger);
    this.#epoch = undefined;
    const outbox = this.#outbox;
    this.#outbox = undefined;
    await outbox?.close();
  }
}

/** Why the database cannot be used, and what to do. */
function wordsOf(error: Error): string {
  return `${reasonOf(error).replace(/\.$/, '')}. ${databaseAdvice(error)}`.trim();
}
