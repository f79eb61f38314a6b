import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CommandName } from '../commands.ts';
import { between } from '../randomness.ts';
import { type FaultPlan, NO_FAULTS } from '../scenario/fault-selector.ts';
import type { SimulatorState } from '../state.ts';
import type { CallEntry, CallOutcome } from '../traffic/statistics.ts';
import { type Answer, refusal, renderAnswer } from './answer.ts';
import { countDuplicates, readCallBody } from './request-body.ts';
import { checkQuery, readTarget } from './request-url.ts';
import { readBody, sendGatewayPage, sendHalf, sendJson, sendTooLarge } from './transport.ts';

/** A call between its arrival and its answer. */
interface Call {
  readonly command: CommandName;
  readonly entry: CallEntry;
  readonly response: ServerResponse;
}

/**
 * Handles one API request from its arrival to its end.
 *
 * URL, query, UserSig and quota are checked at arrival. Then the body is read and its faults are selected.
 * After the latency the command is carried out and answered. A command that is due is carried out even if
 * the client has left meanwhile, as a real service would do.
 */
export async function handleApiRequest(
  state: SimulatorState,
  request: IncomingMessage,
  response: ServerResponse,
  arrivedAtMs: number,
): Promise<void> {
  const target = readTarget(request.method ?? '', request.url ?? '');
  if (target.kind === 'unknown') {
    state.statistics.counts.unknownRequests += 1;
    sendAnswer(state, response, refusal(target.code, ''));
    return;
  }
  const { command, query } = target;
  const call: Call = { command, entry: state.calls.open(command, arrivedAtMs), response };
  const earlyCode = checkBeforeBody(state, command, query, arrivedAtMs);

  const body = await readBody(request, state.maxBodyBytes);
  if (body.kind === 'aborted') {
    state.statistics.counts.clientsGone += 1;
    end(state, call, 'aborted', null);
  } else if (body.kind === 'too-large') {
    end(state, call, 'http-413', null);
    sendTooLarge(response, state.maxBodyBytes);
  } else if (earlyCode !== 0) {
    await answerLater(state, call, NO_FAULTS, () => refusal(earlyCode, command));
  } else {
    await performLater(state, call, body.text);
  }
}

/**
 * Counts the arrival and makes the checks that need no body. Returns 0 if the call may go on, or else
 * the code that refuses it.
 */
function checkBeforeBody(state: SimulatorState, command: CommandName, query: string, nowMs: number): number {
  const earliestMs = state.stalls.earliest(nowMs);
  state.statistics.countArrival(command, nowMs, earliestMs);
  const queryCode = checkQuery(command, query, state.app, nowMs);
  if (queryCode !== 0) return queryCode;
  const quotaCode = state.quotas.admit(command, nowMs, earliestMs);
  state.statistics.of(command).counts[quotaCode === 0 ? 'accepted' : 'refused'] += 1;
  return quotaCode;
}

/** Reads the accounts, selects their faults, and carries out the command when it is due. */
async function performLater(state: SimulatorState, call: Call, text: string): Promise<void> {
  const { command, entry } = call;
  const read = readCallBody(command, text);
  const items = typeof read === 'number' ? [] : read;
  entry.items = items.length;
  const { counts } = state.statistics.of(command);
  counts.items += items.length;
  counts.duplicatesInACall += countDuplicates(items);
  const plan = state.faults.select(command, items, state.nowMs());
  await answerLater(state, call, plan, () =>
    typeof read === 'number'
      ? refusal(read, command)
      : state.backend.perform(command, items, plan, state.nowMs()),
  );
}

async function answerLater(
  state: SimulatorState,
  call: Call,
  plan: FaultPlan,
  work: () => Answer,
): Promise<void> {
  const { callFault } = plan;
  const workAt = callFault?.work ?? state.settings.workAt;
  const early = workAt === 'at-arrival' ? work() : undefined;
  const latencyMs = between(plan.latencyMs ?? state.settings.latencyMs, state.random);
  if (callFault?.kind === 'hang') {
    state.statistics.counts.hangs += 1;
    if (callFault.ms < 0) {
      call.entry.outcome = 'hung';
      state.statistics.countEnd(call.command, 'hung');
      return;
    }
  }
  await state.waitUntil(call.entry.arrivedAtMs + (callFault?.kind === 'hang' ? callFault.ms : latencyMs));
  // A call that hangs or is truncated and never takes effect has no answer of its own.
  const answer = early ?? (workAt === 'never' ? refusal(60008, call.command) : work());
  finish(state, call, plan, answer);
}

/** Sends the answer, or what the fault puts in its place. */
function finish(state: SimulatorState, call: Call, { callFault }: FaultPlan, answer: Answer): void {
  const { command, response, entry } = call;
  if (response.destroyed) {
    entry.clientGone = true;
    state.statistics.counts.clientsGone += 1;
  }
  switch (callFault?.kind) {
    case 'error':
      end(state, call, 'answered', callFault.code);
      sendAnswer(state, response, refusal(callFault.code, command, callFault.info));
      break;
    case 'http':
      end(state, call, `http-${callFault.status}`, null);
      sendGatewayPage(response, callFault.status, callFault.retryAfterSeconds);
      break;
    case 'garbage':
      end(state, call, 'garbage', null);
      sendJson(response, callFault.text);
      break;
    case 'truncate':
      end(state, call, 'truncated', null);
      sendHalf(response, renderAnswer(answer, state.nextRequestId()));
      break;
    case 'reset':
      end(state, call, 'reset', null);
      response.socket?.resetAndDestroy();
      break;
    default:
      end(state, call, 'answered', answer.code);
      sendAnswer(state, response, answer);
  }
}

function sendAnswer(state: SimulatorState, response: ServerResponse, answer: Answer): void {
  sendJson(response, renderAnswer(answer, state.nextRequestId()));
}

function end(state: SimulatorState, call: Call, outcome: CallOutcome, errorCode: number | null): void {
  const { entry } = call;
  entry.outcome = outcome;
  entry.errorCode = errorCode;
  entry.latencyMs = state.nowMs() - entry.arrivedAtMs;
  state.statistics.countEnd(call.command, errorCode === null ? outcome : String(errorCode));
}
