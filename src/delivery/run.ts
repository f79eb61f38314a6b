import { performance } from 'node:perf_hooks';
import type { RunEnd } from '../calls/bullmq/call-worker.ts';
import { parseEntry } from '../event/parse.ts';
import { encodeCheck, encodeImport } from '../im/bodies.ts';
import type { ApiForm } from '../im/commands.ts';
import { type CallRecord, entriesOf } from '../ledger/record.ts';
import { settleRecord } from '../ledger/settle.ts';
import { waitUntil } from '../lifecycle/wait-until.ts';
import type { Slot } from '../pace/slot.ts';
import type { Release } from './admission.ts';
import type { DeliveryOptions } from './delivery-options.ts';
import type { EarlySlot } from './early-slot.ts';
import { createAnswerHandler } from './handle-answer.ts';
import { placeCall } from './make-call.ts';
import { LANDING_MS } from './policy/backoff.ts';
import { accountOf, type Group, groupsOf, unitsByUser } from './policy/pending-user.ts';
import { preflight } from './policy/preflight.ts';
import { canaryOf, released } from './policy/split.ts';
import { runConcurrently, type Step } from './run-concurrently.ts';
import { createSettler } from './settler.ts';

/** A record, and the run that owns it. `passedAtMs`: see claimRecord. */
interface Claimed {
  readonly record: CallRecord;
  readonly run: string;
  readonly passedAtMs: number;
}

/**
 * One run: what is left of the record, and the calls still to be made for it. `early`: asked for by this run, for its first
 * batch call.
 */
export function createRun(
  options: DeliveryOptions,
  { record, run, passedAtMs }: Claimed,
  leave: Release,
  early?: EarlySlot,
): { work(): Promise<RunEnd> } {
  const { callId } = record;
  const { commands } = options;
  const parsed = entriesOf(record).map((raw) => parseEntry(raw, options.rules));
  let calling = 0;
  let redisAheadMs = 0;
  const settler = createSettler({
    record,
    units: unitsByUser(
      parsed.filter((entry) => entry.ok),
      record.suspects,
    ),
    tellAll: options.allOutcomes,
    isOnWire: () => calling > 0 || early?.isOpen() === true,
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
    const end = await runConcurrently<Group, RunEnd>(firstGroups(), step);
    if (end !== undefined && end.kind !== 'later') return end;
    const { dueAtMs } = settler.kept();
    if (dueAtMs === 0) return { kind: 'finished' };
    return { kind: 'later', delayMs: dueAtMs - redisAheadMs - performance.now() };
  };

  /** Where nobody has passed since the record failed, one user goes ahead: what everybody gets costs one user's call. */
  const firstGroups = (): Group[] => {
    const { attempts, tries } = record;
    const failedAtMs = attempts.findLast(({ userId }) => userId === undefined)?.at ?? 0;
    const othersPass = passedAtMs >= failedAtMs;
    const unluckyFailures = othersPass ? tries : 0;
    const history = { first: true, failures: tries, unluckyFailures, failedAtMs };
    return groupsOf(settler.remaining(), commands, history).map((group) => {
      const [unit, ...others] = group.units;
      if (others.length > 0) return othersPass ? group : canaryOf(group, commands);
      const own = attempts.findLast(({ userId }) => userId === undefined || userId === unit?.userId);
      return { ...group, failedAtMs: own?.at ?? 0 };
    });
  };

  /** One call, from its slot to what it leads to. */
  const step = async (group: Group): Promise<Step<Group, RunEnd>> => {
    const { units, refused } = preflight(group.units, options.onProfileFault, commands.form);
    if (refused.length > 0) {
      const kind = await settler.settle({ imported: [], refused, command: commands.single, passedAtMs: 0 });
      if (kind === 'lost') return { end: { kind: 'finished' }, again: [] };
    }
    if (units.length === 0) return { again: released(group, commands) };
    const checked: Group = { ...group, units };
    const line = options.lines[group.command];
    if (line === undefined) throw new RangeError(`this worker makes no calls of ${group.command}: a bug`);
    const slotClass = slotClassOf(checked);
    calling += 1;
    const placed = await placeCall(
      options.client,
      line,
      options.watch,
      { callId, run, slotClass },
      bodyOf(checked, commands.form),
      {
        granted: leave,
        probing: options.readSecretAnew,
        // Not heard of, it is told all the same by the time-out that follows.
        silent: (slot) => void options.hold.silent(slot).catch(() => undefined),
        missed: async (slot, lateMs, isConnected) => {
          options.report.gaveUp(line.command, lateMs);
          await line.book.giveUp(slot);
          // Without a connection there is an answer to the probe all the same, and it will be heard.
          if (slot.probe && isConnected) await options.hold.missed(slot);
        },
      },
      group.command === commands.batch && slotClass === 'live' ? early?.take() : undefined,
    ).finally(() => {
      calling -= 1;
    });
    if (placed.kind === 'lost') return { end: { kind: 'finished' }, again: [] };
    if (placed.kind === 'closing') return { end: { kind: 'leave' }, again: [] };
    redisAheadMs = placed.slot.atRedisMs - placed.slot.atLocalMs;
    return handleAnswer(checked, slotClass, placed, line);
  };

  /** Waits until a call of unknown outcome can no longer take effect. It counts as on the wire until then. */
  const untilLanded = async (slot: Slot): Promise<void> => {
    calling += 1;
    await waitUntil(slot.atLocalMs + LANDING_MS);
    calling -= 1;
  };

  const handleAnswer = createAnswerHandler(options, record, settler, untilLanded);

  return { work };
}

function bodyOf({ command, units }: Group, form: ApiForm): string {
  return command === 'account_check'
    ? encodeCheck(units.map(({ userId }) => userId))
    : encodeImport(command, form, units.map(accountOf));
}
