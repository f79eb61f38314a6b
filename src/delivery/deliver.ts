import { randomUUID } from 'node:crypto';
import type { RunEnd } from '../calls/call-worker.ts';
import type { EventRules, RawEntry } from '../event/event.ts';
import { parseEntry } from '../event/parse.ts';
import type { Answer, FaultName } from '../im/answers.ts';
import { encodeImport, type ImportCommand } from '../im/bodies.ts';
import type { ImClient } from '../im/client.ts';
import type { ApiForm } from '../im/commands.ts';
import { type Verdict, verdictOf } from '../im/verdicts.ts';
import { claimRecord } from '../ledger/claim.ts';
import { type CallRecord, withAttempt } from '../ledger/record.ts';
import { type Settled, type Settlement, settleRecord } from '../ledger/settle.ts';
import type { HoldWatch } from '../pace/hold-watch.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { backoffMs, dueAtMs, LANDING_MS } from './backoff.ts';
import { type Decision, type DecisionPolicy, decide, type Refused } from './decide.ts';
import { createFleetEar, type FleetOptions, type FleetReport } from './fleet.ts';
import { invalidLetter, refusedLetter } from './letter.ts';
import { type Placed, placeCall } from './place-call.ts';
import { screen } from './screen.ts';
import { invalidSettlement, type KeptState, remainingAfter, settlementOf } from './settlement.ts';
import { scout } from './split.ts';
import { accountOf, firstGroups, type Group, type Unit, unitsOf } from './unit.ts';

export interface DeliveryOptions extends FleetOptions {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly client: ImClient;
  readonly watch: HoldWatch;
  readonly form: ApiForm;
  readonly singleCommand: ImportCommand;
  readonly rules: EventRules;
  readonly onProfileFault: DecisionPolicy['onProfileFault'];
  readonly retry: { readonly baseMs: number; readonly maxMs: number; readonly maxAgeMs: number };
  readonly random: () => number;
  readonly report: DeliveryReport;
}

/** What the rest of the process hears of the calls: log, metrics, the coalescer. */
export interface DeliveryReport extends FleetReport {
  called(call: CallReport): void;
  gaveUp(command: ImportCommand, lateMs: number): void;
  settled(callId: string, settlement: Settlement, settled: Settled): void;
  foreign(callId: string, format: string): void;
}

export interface CallReport {
  readonly callId: string;
  readonly command: ImportCommand;
  readonly slotClass: string;
  readonly users: readonly string[];
  readonly tries: number;
  readonly verdict: Verdict;
  /** Set when no usable answer came. */
  readonly fault: FaultName | undefined;
  readonly durationMs: number;
  readonly imported: number;
  readonly deadLettered: number;
  readonly later: number;
  readonly again: number;
  readonly requestId: string | undefined;
}

/** A record of another version is looked at again after this: the other version may be gone, or we upgraded. */
const FOREIGN_WAIT_MS = 30_000;

/** Works a call record off: one run of its job. Never throws for what the API answers. */
export async function deliver(options: DeliveryOptions, callId: string): Promise<RunEnd> {
  const run = randomUUID();
  const claim = await claimRecord(options.redis, options.keys, callId, run);
  switch (claim.kind) {
    case 'gone':
      return { kind: 'finished' };
    case 'foreign':
      options.report.foreign(callId, claim.format);
      return { kind: 'later', delayMs: FOREIGN_WAIT_MS };
    case 'early':
      return { kind: 'later', delayMs: claim.waitMs };
    case 'yours':
      break;
  }
  const { record } = claim;
  // The run before this one died with a call on the wire: it may still land, so nothing is said about its users.
  const landsInMs = record.sentAtMs + LANDING_MS - record.readAtMs;
  if (record.sentAtMs > 0 && landsInMs > 0) {
    return { kind: 'later', delayMs: Math.min(landsInMs, LANDING_MS) };
  }
  return createRun(options, record, run).work();
}

/** One run: what is left of the record, and the calls still to be made for it. */
function createRun(options: DeliveryOptions, record: CallRecord, run: string): { work(): Promise<RunEnd> } {
  const { callId } = record;
  const entries = new Map<string, RawEntry>(record.entries.map((entry) => [entry.eventId, entry]));
  const parsed = record.entries.map((raw) => parseEntry(raw, options.rules));
  let remaining: Map<string, Unit> = new Map(
    unitsOf(parsed.filter((entry) => entry.ok)).map((unit) => [unit.userId, unit]),
  );
  let kept: KeptState = {
    tries: record.tries,
    attempts: record.attempts,
    dueAtMs: 0,
    firstSentAtMs: record.firstSentAtMs,
    heldMsAtFirst: record.heldMsAtFirst,
  };
  const ear = createFleetEar({ ...options });

  const settle = async (settlement: Settlement): Promise<Settled> => {
    const settled = await settleRecord(options.redis, options.keys, callId, run, settlement);
    if (settled.kind === 'settled') options.report.settled(callId, settlement, settled);
    return settled;
  };

  /** Invalid entries leave the record first: they must not wait for a hold to end. */
  const settleInvalid = async (): Promise<Settled['kind']> => {
    const invalid = parsed.flatMap((entry) => {
      const raw = entries.get(entry.eventId);
      return entry.ok || raw === undefined ? [] : [{ raw, letter: invalidLetter(raw, entry) }];
    });
    if (invalid.length === 0) return 'settled';
    return (await settle(invalidSettlement({ invalid, remaining, entries, kept }))).kind;
  };

  const settleStep = async (
    decision: Pick<Decision, 'imported' | 'refused'>,
    command: ImportCommand,
    nowMs: number,
  ): Promise<Settled['kind']> => {
    const after = remainingAfter(remaining, decision);
    const letter = (raw: RawEntry, refused: Refused) =>
      refusedLetter(raw, refused, command, record.attempts, nowMs);
    const settlement = settlementOf({ before: remaining, after, decision, entries, letter, kept });
    const { kind } = await settle(settlement);
    if (kind === 'settled') remaining = after;
    return kind;
  };

  const slotClassOf = (group: Group) => {
    if (!group.first) return 'split' as const;
    if (record.slotClass === 'redrive') return 'redrive' as const;
    return record.tries > 0 ? ('retry' as const) : ('live' as const);
  };

  const work = async (): Promise<RunEnd> => {
    if ((await settleInvalid()) === 'lost') return { kind: 'finished' };
    const pending = firstGroups(record.command, options.singleCommand, [...remaining.values()]);
    for (let group = pending.shift(); group !== undefined; group = pending.shift()) {
      const { units, refused } = screen(group.units, options.onProfileFault);
      if (refused.length > 0) {
        if ((await settleStep({ imported: [], refused }, group.command, record.readAtMs)) === 'lost')
          return { kind: 'finished' };
      }
      if (units.length === 0) continue;
      const screened: Group = { ...group, units };
      const line = options.lines[group.command];
      if (line === undefined) throw new RangeError(`this worker makes no calls of ${group.command}: a bug`);
      const slotClass = slotClassOf(screened);
      const body = encodeImport(group.command, options.form, units.map(accountOf));
      const placed = await placeCall(options.client, line, options.watch, { callId, run, slotClass }, body, {
        probing: options.signAnew,
        missed: async (slot, lateMs) => {
          options.report.gaveUp(line.command, lateMs);
          await line.book.giveUp(slot);
          if (slot.probe) await options.hold.missed(slot);
        },
      });
      if (placed.kind === 'lost') return { kind: 'finished' };
      if (placed.kind === 'closing') return { kind: 'leave' };
      const next = await learn(screened, slotClass, placed);
      if (next.end !== undefined) return next.end;
      pending.unshift(...next.again);
    }
    return { kind: 'finished' };
  };

  /** What one answer changes: the fleet's hold, the record, and what this run does next. */
  const learn = async (
    group: Group,
    slotClass: string,
    { answer, slot, durationMs }: Extract<Placed, { kind: 'answered' }>,
  ): Promise<{ end?: RunEnd; again: readonly Group[] }> => {
    const verdict = verdictOf(group.command, answer);
    const report = (decision: Decision | undefined): void =>
      options.report.called({
        callId,
        command: group.command,
        slotClass,
        users: group.units.map(({ userId }) => userId),
        tries: record.tries,
        verdict,
        fault: answer.kind === 'fault' ? answer.fault : undefined,
        durationMs,
        imported: decision?.imported.length ?? 0,
        deadLettered: decision?.refused.length ?? 0,
        later: decision?.later.length ?? 0,
        again: decision?.again.reduce((sum, { units }) => sum + units.length, 0) ?? group.units.length,
        requestId: answer.kind === 'api' ? answer.requestId : undefined,
      });
    const failAccounts = failAccountsOf(answer);
    const failed = group.units.filter(({ userId }) => failAccounts.includes(userId)).length;
    const heard = await ear.hear(group, verdict, failed, slot);
    if (heard !== 'judge') {
      report(undefined);
      return { again: heard === 'scout' ? scout(group) : [group] };
    }

    if (kept.firstSentAtMs === 0)
      kept = { ...kept, firstSentAtMs: slot.atRedisMs, heldMsAtFirst: slot.heldMs };
    const attempt = {
      at: Math.round(slot.atRedisMs),
      command: group.command,
      errorCode: verdict.errorCode,
      httpStatus: verdict.httpStatus,
    };
    const tried: Group = {
      ...group,
      units: group.units.map((unit) => ({ ...unit, attempts: [...unit.attempts, attempt] })),
    };
    const nowMs = slot.atRedisMs + durationMs;
    const waitedMs = nowMs - kept.firstSentAtMs - (slot.heldMs - kept.heldMsAtFirst);
    const decision = decide(tried, verdict, failAccounts, {
      singleCommand: options.singleCommand,
      onProfileFault: options.onProfileFault,
      tries: record.tries,
      expired: waitedMs > options.retry.maxAgeMs,
    });
    report(decision);
    if (decision.later.length > 0) {
      const due = dueAtMs({
        nowMs,
        sentAtMs: slot.atRedisMs,
        outcomeKnown: verdict.outcomeKnown,
        delayMs: backoffMs(record.tries, options.retry, options.random()),
      });
      kept = {
        ...kept,
        tries: record.tries + 1,
        attempts: withAttempt(record.attempts, attempt),
        dueAtMs: due,
      };
      const kind = await settleStep(decision, group.command, nowMs);
      // One that is lost is another run's work by now. The rest of this run waits with what failed: what ails
      // one call ails the next.
      if (kind === 'lost') return { end: { kind: 'finished' }, again: [] };
      return { end: { kind: 'later', delayMs: due - nowMs }, again: [] };
    }
    if (decision.imported.length > 0 || decision.refused.length > 0) {
      const kind = await settleStep(decision, group.command, nowMs);
      if (kind === 'lost') return { end: { kind: 'finished' }, again: [] };
    }
    return { again: decision.again };
  };

  return { work };
}

function failAccountsOf(answer: Answer): readonly string[] {
  return answer.kind === 'api' ? answer.failAccounts : [];
}
