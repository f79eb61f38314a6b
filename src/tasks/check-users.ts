import { backoffMs } from '../delivery/policy/backoff.ts';
import type { ApiAnswer } from '../im/answers.ts';
import { decodeResults } from '../im/bodies.ts';
import type { VerdictClass } from '../im/verdict-rows.ts';
import type { Verdict } from '../im/verdicts.ts';
import { type CheckCall, type CheckCaller, ChecksRefusedError } from './check-caller.ts';

/**
 * What account_check says about an account. `refused`: it does not say; `errorCode` is 0 if the API gave
 * none.
 */
export type Presence =
  | { readonly kind: 'imported' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'refused'; readonly errorCode: number; readonly errorInfo: string };

/** Users who are asked for in one call, and how their calls fared. */
interface Group {
  userIds: readonly string[];
  /** A part of a group that failed while others passed. If it fails, too, it is split at once. */
  readonly isPart: boolean;
  /** Calls of these users that failed. */
  failures: number;
  /** Those of the last ones that failed while nobody passed. The wait grows with them. */
  idle: number;
  /** Those of them that failed while others passed. */
  unlucky: number;
  throttles: number;
  hasSignedAnew: boolean;
  /** Users of the group who were asked for alone, to learn whether others pass. */
  canaries: number;
}

/** An account without a verdict, or with an unknown one, is asked for this often in all. */
const MAX_TRIES_WITHOUT_VERDICT = 3;
/** Parts of a call that failed, all called at the same time: 100, 20, 4, 1 (see partsOf in split.ts). */
const PARTS = 5;
/** After so many throttles in a row, others may tell that they are about these users. */
const LOWERING_THROTTLES = 5;
/** Several users, all called at the same time, tell whether the very first calls fail for everybody. */
const TRIAL_USERS = 5;
/** A call for several users is compared with calls that started up to so much earlier. */
const SAME_TIME_MS = 1_000;
/** So many failures in a row of users who passed before end what no wait mends. */
const MAX_REFUSED_PROOFS = 3;
/** One in so many calls that look whether calls succeed again is for a user of the group's own. */
const OWN_EVERY = 4;
/** Coprime to every number up to 100, so that canaries lie far from each other and no user is left out. */
const CANARY_STEP = 7_919;
const BACKOFF = { baseMs: 1_000, maxMs: 30_000 };
/** Users are asked for again a bounded number of times while others pass, so the delay stays short. */
const SUSPECT_BACKOFF = { baseMs: 1_000, maxMs: 5_000 };
/**
 * Wait after a fault of the app: 4 s at first, then twice as long each time; jitter takes up to a half off.
 */
const APP_GAP = { baseMs: 4_000, maxMs: 60_000 };

/**
 * Asks for users until there is a verdict for each. The class of an answer says what to do if the fault is
 * everybody's; whose fault it is, others tell (decision 96). Users who fail while others pass are split, down
 * to single ones. A single one whose calls fail several times while others pass is refused. So one user in a
 * hundred takes 18 calls, and a few more to learn whether others pass.
 */
export async function checkUsers(
  caller: CheckCaller,
  userIds: readonly string[],
): Promise<ReadonlyMap<string, Presence>> {
  const run = new CheckRun(caller);
  await run.settle(groupOf(userIds));
  return run.findings.presence;
}

function groupOf(userIds: readonly string[], isPart = false): Group {
  const none = { failures: 0, idle: 0, unlucky: 0, throttles: 0, canaries: 0 };
  return { userIds, isPart, hasSignedAnew: false, ...none };
}

/** The verdicts of one run so far. */
class Findings {
  readonly presence = new Map<string, Presence>();
  private readonly tries = new Map<string, number>();

  refuse(userId: string, { errorCode, errorInfo, meaning }: Omit<Verdict, 'class'>): void {
    this.presence.set(userId, { kind: 'refused', errorCode, errorInfo: errorInfo || meaning });
  }

  /** Counts an answer without a verdict. False after the last try: then the account counts as refused. */
  shouldRetry(userId: string, errorCode: number, errorInfo: string): boolean {
    const tried = (this.tries.get(userId) ?? 0) + 1;
    this.tries.set(userId, tried);
    if (tried < MAX_TRIES_WITHOUT_VERDICT) return true;
    this.presence.set(userId, { kind: 'refused', errorCode, errorInfo });
    return false;
  }

  /** Notes what a successful answer says of each user. Returns the users to ask for again. */
  takeAnswer(group: readonly string[], answer: ApiAnswer): string[] {
    const results = decodeResults(answer.body);
    return group.filter((userId) => {
      const result = results.get(userId);
      if (result === undefined)
        return this.shouldRetry(userId, 0, 'the answer did not speak of this account');
      const { resultCode, resultInfo, imported } = result;
      if (resultCode === 0 && imported !== undefined) {
        this.presence.set(userId, { kind: imported ? 'imported' : 'missing' });
        return false;
      }
      // An account's own code counts like that of a call for this account alone.
      const words = resultInfo || 'the answer did not say whether this account is there';
      return this.shouldRetry(userId, resultCode, words);
    });
  }
}

class CheckRun {
  readonly findings = new Findings();
  readonly #caller: CheckCaller;

  constructor(caller: CheckCaller) {
    this.#caller = caller;
  }

  /** Rejects with ChecksRefusedError or ChecksClosedError. */
  async settle(first: Group): Promise<void> {
    let group = first;
    while (group.userIds.length > 0) {
      const call = await this.#caller.call(group.userIds);
      if (call.answer !== undefined) {
        this.#caller.chance.passed(group.unlucky);
        group = groupOf(this.findings.takeAnswer(group.userIds, call.answer));
        continue;
      }
      const [next, ...parts] = await this.#failed(group, call);
      if (next === undefined) return;
      if (parts.length > 0) {
        await Promise.all([next, ...parts].map((part) => this.settle(part)));
        return;
      }
      group = next;
    }
  }

  /** What is asked for next. */
  async #failed(group: Group, call: CheckCall): Promise<Group[]> {
    const { verdict } = call;
    switch (verdict.class) {
      case 'throttle':
        if (!this.#isAboutUsers(group, call)) {
          await this.#caller.lowerRate(call);
          if (++group.throttles < LOWERING_THROTTLES || this.#isImpatient) {
            this.#caller.options.report.again(verdict, 0, false);
            return [group];
          }
        }
        break;
      case 'app':
        if (!verdict.signAnew || group.hasSignedAnew) break;
        group.hasSignedAnew = true;
        return [group];
      case 'retry':
        break;
      default:
        if (group.userIds.length === 1) return this.#refused(group, verdict);
    }
    group.failures++;
    return this.#isImpatient && !namesTheRequest(verdict)
      ? this.#onceMore(group, verdict)
      : this.#tellApart(group, call);
  }

  get #isImpatient(): boolean {
    return this.#caller.options.maxFailures !== undefined;
  }

  /** These users were throttled often while others passed. The rate is not the cause then. */
  #isAboutUsers({ throttles }: Group, { startedAtMs }: CheckCall): boolean {
    return throttles >= LOWERING_THROTTLES && this.#caller.passedSince(startedAtMs - SAME_TIME_MS);
  }

  /** The API has answered for this one account with a code that names the request as the cause. */
  async #refused(group: Group, verdict: Verdict): Promise<Group[]> {
    const [userId = ''] = group.userIds;
    await this.#caller.refusedAlone(verdict);
    const words = verdict.errorInfo || verdict.meaning;
    if (verdict.class !== 'unknown') this.findings.refuse(userId, verdict);
    else if (this.findings.shouldRetry(userId, verdict.errorCode, words)) {
      await this.#caller.rest(verdict, backoffMs(1, BACKOFF, this.#caller.options.random()));
      return [group];
    }
    return [];
  }

  /** Somebody waits for the answer: a few calls, and nothing to compare with. */
  async #onceMore(group: Group, verdict: Verdict): Promise<Group[]> {
    const { maxFailures = 0 } = this.#caller.options;
    const isFirst = verdict.class === 'app' && !this.#caller.hasPassed;
    if (isFirst || group.failures > maxFailures) throw new ChecksRefusedError(verdict);
    await this.#caller.rest(verdict, this.#everybodysWaitMs(verdict, group.failures));
    return [group];
  }

  /** Finds out whose fault it is: asks for the same users again, or for parts of them, or for none. */
  async #tellApart(group: Group, call: CheckCall): Promise<Group[]> {
    const { verdict } = call;
    const wasAlone = group.userIds.length === 1;
    const isTheirs = await this.#isTheirs(group, call);
    const [userId] = group.userIds;
    if (userId === undefined) return [];
    if (!wasAlone && group.userIds.length === 1) return [partOf(group, group.userIds)];
    group.idle = isTheirs ? 0 : group.idle + 1;
    if (!isTheirs) return [group];
    group.unlucky++;
    if (!wasAlone) return this.#isToBeSplit(group, verdict) ? partsOf(group) : [group];
    if (group.unlucky < this.#caller.chance.endAfter()) return [group];
    this.findings.refuse(userId, verdict);
    return [];
  }

  #isToBeSplit({ isPart, unlucky }: Group, verdict: Verdict): boolean {
    return isPart || namesTheRequest(verdict) || unlucky >= this.#caller.chance.splitAfter();
  }

  /**
   * Whether others passed when these users failed. While nobody passes it waits, until somebody does or the
   * only user of the group is to be tried. Rejects with ChecksRefusedError when waiting is no use.
   */
  async #isTheirs(group: Group, call: CheckCall): Promise<boolean> {
    const caller = this.#caller;
    const { verdict, startedAtMs } = call;
    const isAlone = group.userIds.length === 1;
    const passedMeanwhile = (): boolean => caller.passedSince(startedAtMs);
    const passedJustNow = (): boolean => caller.passedSince(startedAtMs - SAME_TIME_MS);
    // Somebody started this process just now and can mend a fault of the app. Later ones are waited out.
    if (verdict.class === 'app' && !caller.hasPassed && !(await this.#othersFareBetter(group)))
      throw new ChecksRefusedError(verdict);
    const isSplit = this.#isToBeSplit({ ...group, unlucky: group.unlucky + 1 }, verdict);
    // A split costs a few calls, so it needs no wait. A single user fails several times with time between.
    if (!isAlone && isSplit && passedJustNow()) return true;
    for (let proofs = 0; ; proofs++) {
      const waitMs = this.#waitMs(group, verdict, proofs, passedJustNow());
      const isSuspect = group.idle + proofs === 0 && (group.isPart || group.unlucky > 0);
      await caller.rest(verdict, waitMs, isSuspect || passedJustNow());
      if (isAlone ? passedMeanwhile() : passedJustNow()) return proofs === 0;
      if (!caller.hasWitness || proofs % OWN_EVERY === OWN_EVERY - 1) {
        if (isAlone) return false;
        const passed = (await this.#askCanary(group)) === 'done';
        if (passed || group.userIds.length === 0) return proofs === 0;
      } else if (await caller.witnessPasses(startedAtMs)) return proofs === 0;
      else if (namesTheRequest(verdict) && proofs + 1 >= MAX_REFUSED_PROOFS)
        throw new ChecksRefusedError(verdict);
    }
  }

  /**
   * The very first call fails by a fault of the app: a few users alone, and who else is on the wire, tell
   * whether all do. False if they do.
   */
  async #othersFareBetter(group: Group): Promise<boolean> {
    const { length } = group.userIds;
    const count = length === 1 ? 0 : Math.min(TRIAL_USERS, length);
    const found = await Promise.all(Array.from({ length: count }, () => this.#askCanary(group)));
    if (found.some((verdict) => verdict !== 'app')) return true;
    await this.#caller.othersEnded();
    return this.#caller.hasPassed;
  }

  /** Asks for one user of a group alone, each time for another one. */
  async #askCanary(group: Group): Promise<VerdictClass> {
    const { userIds } = group;
    const canary = userIds[(group.canaries++ * CANARY_STEP) % userIds.length] as string;
    const call = await this.#caller.call([canary], true);
    const isOpen = await this.#isOpen(canary, call);
    if (!isOpen) group.userIds = group.userIds.filter((userId) => userId !== canary);
    return call.verdict.class;
  }

  /** Notes what the call of a canary says. False when there is a verdict. */
  async #isOpen(canary: string, { verdict, answer, ...call }: CheckCall): Promise<boolean> {
    if (answer !== undefined) return this.findings.takeAnswer([canary], answer).length > 0;
    if (verdict.class === 'throttle') await this.#caller.lowerRate({ verdict, ...call });
    if (!namesTheRequest(verdict)) return true;
    return (await this.#refused(groupOf([canary]), verdict)).length > 0;
  }

  /** The first wait is short: it is not known yet that nobody passes, and one call tells. */
  #waitMs({ idle, unlucky }: Group, verdict: Verdict, proofs: number, othersPass: boolean): number {
    // Codes that name the request are believed, even if others pass.
    if (namesTheRequest(verdict) && !this.#caller.hasWitness) return 0;
    const failures = idle + proofs;
    if (!othersPass && failures > 0) return this.#everybodysWaitMs(verdict, failures);
    const quietMs = othersPass ? 0 : (verdict.minProbeGapMs ?? 0);
    const waitMs = backoffMs(unlucky, SUSPECT_BACKOFF, this.#caller.options.random());
    return Math.max(quietMs, SUSPECT_BACKOFF.baseMs / 2 + waitMs);
  }

  #everybodysWaitMs(verdict: Verdict, failures: number): number {
    const random = this.#caller.options.random();
    if (verdict.class === 'app') return Math.max(verdict.minProbeGapMs ?? 0, appGapMs(failures, random));
    return BACKOFF.baseMs / 2 + backoffMs(failures - 1, BACKOFF, random);
  }
}

/** Classes whose codes say that the request is the cause, or that no table knows. */
function namesTheRequest({ class: verdict }: Verdict): boolean {
  return verdict === 'body' || verdict === 'account' || verdict === 'unknown';
}

function partsOf(group: Group): Group[] {
  const { userIds } = group;
  const size = Math.ceil(userIds.length / PARTS);
  const count = Math.ceil(userIds.length / size);
  return Array.from({ length: count }, (_, at) => partOf(group, userIds.slice(at * size, (at + 1) * size)));
}

/** What a part fails with has lowered the rate often enough if the whole has. */
function partOf({ throttles }: Group, userIds: readonly string[]): Group {
  return { ...groupOf(userIds, true), throttles };
}

function appGapMs(failures: number, random: number): number {
  const most = Math.min(APP_GAP.maxMs, APP_GAP.baseMs * 2 ** Math.min(failures - 1, 10));
  return most / 2 + (random * most) / 2;
}
