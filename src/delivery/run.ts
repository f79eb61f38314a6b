import { performance } from 'node:perf_hooks';
import type { RunEnd } from '../calls/bullmq/call-worker.ts';
import { parseEntry } from '../event/parse.ts';
import { encodeCheck, encodeImport } from '../im/bodies.ts';
import type { ApiForm } from '../im/commands.ts';
import { type CallRecord, entriesOf } from '../ledger/record.ts';
import { settleRecord } from '../ledger/settle.ts';
import { waitUntil } from '../lifecycle/wait.ts';
import type { Slot } from '../pace/slot.ts';
import type { Release } from './admission.ts';
import type { DeliveryOptions } from './delivery-options.ts';
import type { EarlySlot } from './early-slot.ts';
import { createAnswerHandler } from './handle-answer.ts';
import { placeCall } from './make-call.ts';
import { LANDING_MS } from './policy/backoff.ts';
import { type ApiRequest, accountOf, pendingByUser, requestsOf } from './policy/pending-user.ts';
import { preflight } from './policy/preflight.ts';
import { canaryOf, released } from './policy/split.ts';
import { runConcurrently, type Step } from './run-concurrently.ts';
import { createSettler } from './settler.ts';

/** Whether this process stops is looked at so often. */
const REST_LOOK_MS = 250;

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
    users: pendingByUser(
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

  const slotClassOf = (request: ApiRequest) => {
    if (!request.first) return 'split' as const;
    if (record.slotClass === 'redrive') return 'redrive' as const;
    return record.tries + request.failures > 0 ? ('retry' as const) : ('live' as const);
  };

  const work = async (): Promise<RunEnd> => {
    const invalid = parsed.filter((entry) => !entry.ok);
    if ((await settler.settleInvalid(invalid)) === 'lost') return { kind: 'finished' };
    const end = await runConcurrently<ApiRequest, RunEnd>(firstGroups(), step);
    if (end !== undefined && end.kind !== 'later') return end;
    const { dueAtMs } = settler.kept();
    if (dueAtMs === 0) return { kind: 'finished' };
    return { kind: 'later', delayMs: dueAtMs - redisAheadMs - performance.now() };
  };

  /** Where nobody has passed since the record failed, one user goes ahead: what everybody gets costs one user's call. */
  const firstGroups = (): ApiRequest[] => {
    const { attempts, tries } = record;
    const failedAtMs = attempts.findLast(({ userId }) => userId === undefined)?.at ?? 0;
    const othersPass = passedAtMs >= failedAtMs;
    const unluckyFailures = othersPass ? tries : 0;
    const history = { first: true, failures: tries, unluckyFailures, failedAtMs };
    return requestsOf(settler.remaining(), commands, history).map((request) => {
      const [user, ...others] = request.users;
      if (others.length > 0) return othersPass ? request : canaryOf(request, commands);
      const own = attempts.findLast(({ userId }) => userId === undefined || userId === user?.userId);
      return { ...request, failedAtMs: own?.at ?? 0 };
    });
  };

  /** One call, from its slot to what it leads to. */
  const step = async (request: ApiRequest): Promise<Step<ApiRequest, RunEnd>> => {
    const { users, refused } = preflight(request.users, options.onProfileFault, commands.form);
    if (refused.length > 0) {
      const kind = await settler.settle({ imported: [], refused, command: commands.single, passedAtMs: 0 });
      if (kind === 'lost') return { end: { kind: 'finished' }, again: [] };
    }
    if (users.length === 0) return { again: released(request, commands) };
    const checked: ApiRequest = { ...request, users };
    const limiter = options.limiters[request.command];
    if (limiter === undefined)
      throw new RangeError(`this worker makes no calls of ${request.command}: a bug`);
    const slotClass = slotClassOf(checked);
    calling += 1;
    const placed = await placeCall(
      options.client,
      limiter,
      options.watch,
      { callId, run, slotClass },
      bodyOf(checked, commands.form),
      {
        granted: leave,
        probing: options.readSecretAnew,
        // Not heard of, it is told all the same by the time-out that follows.
        silent: (slot) => void options.hold.silent(slot).catch(() => undefined),
        missed: async (slot, lateMs, isConnected) => {
          options.report.gaveUp(limiter.command, lateMs);
          await limiter.slots.giveUp(slot);
          // Without a connection there is an answer to the probe all the same, and it will be heard.
          if (slot.probe && isConnected) await options.hold.missed(slot);
        },
      },
      request.command === commands.batch && slotClass === 'live' ? early?.take() : undefined,
    ).finally(() => {
      calling -= 1;
    });
    if (placed.kind === 'lost') return { end: { kind: 'finished' }, again: [] };
    if (placed.kind === 'closing') return { end: { kind: 'leave' }, again: [] };
    redisAheadMs = placed.slot.atRedisMs - placed.slot.atLocalMs;
    return handleAnswer(checked, slotClass, placed, limiter);
  };

  /** Waits until a call of unknown outcome can no longer take effect. It counts as on the wire until then. */
  const untilLanded = async (slot: Slot): Promise<void> => {
    calling += 1;
    await waitUntil(slot.atLocalMs + LANDING_MS);
    calling -= 1;
  };

  /** Not on the wire, and in no hurry: a process that stops does not wait for it. */
  const rest = async (ms: number): Promise<void> => {
    const endMs = performance.now() + ms;
    while (!options.room.isClosed && performance.now() < endMs)
      await waitUntil(Math.min(endMs, performance.now() + REST_LOOK_MS));
  };

  const handleAnswer = createAnswerHandler(options, record, settler, untilLanded, rest);

  return { work };
}

function bodyOf({ command, users }: ApiRequest, form: ApiForm): string {
  return command === 'account_check'
    ? encodeCheck(users.map(({ userId }) => userId))
    : encodeImport(command, form, users.map(accountOf));
}
