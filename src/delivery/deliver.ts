import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { RunEnd } from '../calls/call-worker.ts';
import type { EventRules } from '../event/event.ts';
import { parseEntry } from '../event/parse.ts';
import type { FaultName } from '../im/answers.ts';
import { type DeliveryCommand, encodeCheck, encodeImport } from '../im/bodies.ts';
import type { ImClient } from '../im/client.ts';
import type { ApiForm } from '../im/commands.ts';
import { type Verdict, type VerdictOverrides, verdictOf } from '../im/verdicts.ts';
import { claimRecord } from '../ledger/claim.ts';
import { type Attempt, attemptsOf, type CallRecord } from '../ledger/record.ts';
import { type Settled, type Settlement, settleRecord } from '../ledger/settle.ts';
import type { HoldWatch } from '../pace/hold-watch.ts';
import type { Slot } from '../pace/slot.ts';
import { waitUntil } from '../pace/wait-until.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { backoffMs, dueAtMs, LANDING_MS } from './backoff.ts';
import { hearCheck, whoIsThere } from './check.ts';
import { type CulpritWatch, judgedIn } from './culprits.ts';
import { type Decision, type DecisionPolicy, decide, decideChecked } from './decide.ts';
import { createFleetEar, type FleetOptions, type FleetReport } from './fleet.ts';
import { runLanes, type Step } from './lanes.ts';
import { type Line, type Placed, placeCall } from './place-call.ts';
import { screen } from './screen.ts';
import { scout } from './search.ts';
import { createSettler } from './settler.ts';
import { accountOf, type Commands, type Group, groupsOf, unitsOf } from './unit.ts';
import type { Leave, WaitingRoom } from './waiting-room.ts';

export interface DeliveryOptions extends FleetOptions {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly client: ImClient;
  readonly watch: HoldWatch;
  readonly commands: Commands;
  readonly room: WaitingRoom;
  /** What the configuration says of error codes. */
  readonly overrides: VerdictOverrides;
  readonly culprits: CulpritWatch;
  readonly rules: EventRules;
  readonly onProfileFault: DecisionPolicy['onProfileFault'];
  readonly retry: { readonly baseMs: number; readonly maxMs: number; readonly maxAgeMs: number };
  readonly random: () => number;
  /** Before a probe: a secret that was mended counts. */
  readonly readSecretAnew: () => void;
  /** Write every outcome to the stream of outcomes. */
  readonly allOutcomes: boolean;
  readonly report: DeliveryReport;
}

/** What the rest of the process hears of the calls: log, metrics, the coalescer. */
export interface DeliveryReport extends FleetReport {
  called(call: CallReport): void;
  gaveUp(command: DeliveryCommand, lateMs: number): void;
  settled(callId: string, settlement: Settlement, settled: Settled): void;
  foreign(callId: string, format: string): void;
}

export interface CallReport {
  readonly callId: string;
  readonly command: DeliveryCommand;
  readonly slotClass: string;
  readonly users: readonly string[];
  /** IDs in FailAccounts that were never sent; they mean nothing. */
  readonly strangers: number;
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

/**
 * A record of another version comes by again after this (claim.lua goes by the same). With both versions running
 * either may be the one who fetches it, so it must not wait for long.
 */
const FOREIGN_WAIT_MS = 5_000;
/** A slot may lie this far ahead of its granting. */
const CLOCK_SLACK_MS = 2_000;

/**
 * Works a call record off: one run of its job. Never throws for what the API answers. `kind`: what the job tells of
 * the class of its call (calls/call-worker.ts).
 */
export async function deliver(options: DeliveryOptions, callId: string, kind: string): Promise<RunEnd> {
  const leave = await options.room.enter(kind);
  if (leave === 'closing') return { kind: 'leave' };
  try {
    return await takeRecord(options, callId, leave);
  } finally {
    leave();
  }
}

async function takeRecord(options: DeliveryOptions, callId: string, leave: Leave): Promise<RunEnd> {
  const run = randomUUID();
  const claim = await claimRecord(options.redis, options.keys, callId, run, options.retry.maxMs + LANDING_MS);
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
    if (landsInMs <= LANDING_MS + CLOCK_SLACK_MS) return { kind: 'later', delayMs: landsInMs };
    // Sent in the future: Redis's clock was set back. How long ago it was cannot be told; the longest is waited.
    await waitUntil(performance.now() + LANDING_MS);
  }
  return createRun(options, record, run, leave).work();
}

/** One run: what is left of the record, and the calls still to be made for it. */
function createRun(
  options: DeliveryOptions,
  record: CallRecord,
  run: string,
  leave: Leave,
): { work(): Promise<RunEnd> } {
  const { callId } = record;
  const { commands, culprits } = options;
  const parsed = record.entries.map((raw) => parseEntry(raw, options.rules));
  const ear = createFleetEar({ ...options });
  let calling = 0;
  let redisAheadMs = 0;
  const settler = createSettler({
    record,
    units: unitsOf(parsed.filter((entry) => entry.ok)),
    isOnWire: () => calling > 0,
    store: async (settlement) => {
      const settled = await settleRecord(
        options.redis,
        options.keys,
        callId,
        run,
        settlement,
        options.allOutcomes,
      );
      if (settled.kind === 'settled') options.report.settled(callId, settlement, settled);
      return settled;
    },
  });

  const slotClassOf = (group: Group) => {
    if (!group.first) return 'split' as const;
    if (record.slotClass === 'redrive') return 'redrive' as const;
    return record.tries > 0 ? ('retry' as const) : ('live' as const);
  };

  const work = async (): Promise<RunEnd> => {
    const invalid = parsed.filter((entry) => !entry.ok);
    if ((await settler.settleInvalid(invalid)) === 'lost') return { kind: 'finished' };
    const end = await runLanes<Group, RunEnd>(groupsOf(settler.remaining(), commands, true), step);
    if (end !== undefined && end.kind !== 'later') return end;
    const { dueAtMs } = settler.kept;
    if (dueAtMs === 0) return { kind: 'finished' };
    return { kind: 'later', delayMs: dueAtMs - redisAheadMs - performance.now() };
  };

  /** One call, from its slot to what it leads to. */
  const step = async (group: Group): Promise<Step<Group, RunEnd>> => {
    const { units, refused } = screen(group.units, options.onProfileFault, commands.form);
    if (refused.length > 0) {
      const kind = await settler.settle({ imported: [], refused, command: commands.single, proof: false });
      if (kind === 'lost') return { end: { kind: 'finished' }, again: [] };
    }
    if (units.length === 0) return { again: [] };
    const screened: Group = { ...group, units };
    const line = options.lines[group.command];
    if (line === undefined) throw new RangeError(`this worker makes no calls of ${group.command}: a bug`);
    const slotClass = slotClassOf(screened);
    calling += 1;
    const placed = await placeCall(
      options.client,
      line,
      options.watch,
      { callId, run, slotClass },
      bodyOf(screened, commands.form),
      {
        granted: leave,
        probing: options.readSecretAnew,
        silent: (slot) => void options.hold.silent(slot).catch(() => undefined),
        missed: async (slot, lateMs, isConnected) => {
          options.report.gaveUp(line.command, lateMs);
          await line.book.giveUp(slot);
          // Without a connection there is an answer to the probe all the same, and it will be heard.
          if (slot.probe && isConnected) await options.hold.missed(slot);
        },
      },
    ).finally(() => {
      calling -= 1;
    });
    if (placed.kind === 'lost') return { end: { kind: 'finished' }, again: [] };
    if (placed.kind === 'closing') return { end: { kind: 'leave' }, again: [] };
    redisAheadMs = placed.slot.atRedisMs - placed.slot.atLocalMs;
    return learn(screened, slotClass, placed, line);
  };

  /** Waits until a call of unknown outcome can no longer take effect. It counts as on the wire until then. */
  const untilLanded = async (slot: Slot): Promise<void> => {
    calling += 1;
    await waitUntil(slot.atLocalMs + LANDING_MS);
    calling -= 1;
  };

  /** What one answer changes: the fleet's hold, the record, and what this run does next. */
  const learn = async (
    group: Group,
    slotClass: string,
    { answer, slot, durationMs }: Extract<Placed, { kind: 'answered' }>,
    line: Line,
  ): Promise<Step<Group, RunEnd>> => {
    const verdict = verdictOf(group.command, answer, options.overrides);
    const failAccounts = answer.kind === 'api' ? answer.failAccounts : [];
    const failed = group.units.filter(({ userId }) => failAccounts.includes(userId)).length;
    const report = (decision: Decision | undefined): void =>
      options.report.called({
        callId,
        command: group.command,
        slotClass,
        users: group.units.map(({ userId }) => userId),
        strangers: failAccounts.length - failed,
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
    const checked = group.command === 'account_check';
    const heard = checked
      ? await hearCheck(options.hold, line, verdict, slot)
      : await ear.hear(group, verdict, failed, slot);
    if (heard === 'again' || heard === 'scout') {
      report(undefined);
      // Sent again and imported, the users would be let go while this call may still land.
      if (!verdict.outcomeKnown) await untilLanded(slot);
      return { again: heard === 'scout' ? scout(group, commands) : [group] };
    }

    settler.began(slot.atRedisMs, slot.heldMs);
    const { kept } = settler;
    const attempt: Attempt = {
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
    const earlier = attemptsOf(kept.attempts, group.units[0]?.userId ?? '');
    const decision = checked
      ? decideChecked(tried, whoIsThere(verdict, answer), commands)
      : decide(tried, verdict, failAccounts, {
          commands,
          onProfileFault: options.onProfileFault,
          sameAnswers: earlier.filter(
            ({ errorCode, httpStatus }) =>
              errorCode === verdict.errorCode && httpStatus === verdict.httpStatus,
          ).length,
          expired: waitedMs > options.retry.maxAgeMs,
          culpritShare: culprits.share(),
        });
    report(decision);
    const judged = judgedIn(tried, verdict, decision, commands);
    if (judged.innocent + judged.culprits > 0) culprits.saw(judged.innocent, judged.culprits);
    if (decision.later.length > 0) {
      const due = dueAtMs({
        nowMs,
        sentAtMs: slot.atRedisMs,
        outcomeKnown: verdict.outcomeKnown,
        delayMs: backoffMs(record.tries, options.retry, options.random()),
      });
      const [unit, ...others] = group.units;
      const isOfMany = unit !== undefined && others.length === 0 && settler.remaining().length > 1;
      settler.postpone(due, isOfMany ? { ...attempt, userId: unit.userId } : attempt);
    }
    // Users who are let go now may have a newer event waiting: it must not overtake this call.
    if (verdict.class === 'retry' && !verdict.outcomeKnown && decision.refused.length > 0) {
      await untilLanded(slot);
    }
    if (decision.imported.length + decision.refused.length + decision.later.length > 0) {
      // One that is lost is another run's work by now.
      const kind = await settler.settle({ ...decision, command: group.command, proof: heard === 'proof' });
      if (kind === 'lost') return { end: { kind: 'finished' }, again: [] };
    }
    // What ails one call ails the next, so the rest of this run waits as well; a code that nobody knows may be
    // about its users alone.
    const isOver = decision.later.length > 0 && verdict.class === 'retry';
    return { again: decision.again, ...(isOver && { end: { kind: 'later', delayMs: 0 } }) };
  };

  return { work };
}

function bodyOf({ command, units }: Group, form: ApiForm): string {
  return command === 'account_check'
    ? encodeCheck(units.map(({ userId }) => userId))
    : encodeImport(command, form, units.map(accountOf));
}
