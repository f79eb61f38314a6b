import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CommandName } from '../commands.ts';
import { between } from '../randomness.ts';
import { type FaultPlan, NO_FAULTS } from '../scenario/fault-selector.ts';
import type { SimulatorState } from '../state.ts';
import type { CallEntry, CallOutcome } from '../traffic/call-log.ts';
import { type Answer, refusal, renderAnswer } from './answer.ts';
import { type CallBody, countDuplicates, readCallBody } from './request-body.ts';
import { checkQuery, readTarget } from './request-url.ts';
import {
  readBody,
  resetConnection,
  sendGarbage,
  sendGatewayPage,
  sendHalf,
  sendJson,
  sendTooLarge,
} from './transport.ts';

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
    state.statistics.countUnknownRequest();
    sendJson(response, renderAnswer(refusal(target.code, ''), state.nextRequestId()));
    return;
  }
  const { command, query } = target;
  const entry = state.calls.open(command, arrivedAtMs);
  const call: Call = { command, entry, response };
  const earliestMs = state.stalls.earliest(arrivedAtMs);
  state.statistics.countArrival(command, arrivedAtMs, earliestMs);
  const earlyCode = checkBeforeBody(state, command, query, arrivedAtMs, earliestMs);

  const body = await readBody(request, state.maxBodyBytes);
  if (body.kind === 'aborted') {
    state.statistics.countClientGone();
    end(state, call, 'aborted', null);
    return;
  }
  if (body.kind === 'too-large') {
    end(state, call, 'http-413', null);
    sendTooLarge(response, state.maxBodyBytes);
    return;
  }
  if (earlyCode !== 0) {
    answerLater(state, call, NO_FAULTS, () => refusal(earlyCode, command));
    return;
  }

  const read = readCallBody(command, body.text);
  const items = read.ok ? read.items : [];
  entry.items = items.length;
  state.statistics.countItems(command, items.length, countDuplicates(items));
  const plan = state.faults.select(command, items, state.nowMs());
  answerLater(state, call, plan, () => perform(state, command, read, plan));
}

/** Makes the checks that need no body. Returns 0 if the call may go on, or else the code that refuses it. */
function checkBeforeBody(
  state: SimulatorState,
  command: CommandName,
  query: string,
  nowMs: number,
  earliestMs: number,
): number {
  const queryCode = checkQuery(command, query, state.app, state.signatures, nowMs);
  if (queryCode !== 0) return queryCode;
  const quotaCode = state.quotas.admit(command, nowMs, earliestMs);
  if (quotaCode === 0) state.statistics.countAccepted(command);
  else state.statistics.countRefused(command);
  return quotaCode;
}

function perform(state: SimulatorState, command: CommandName, read: CallBody, plan: FaultPlan): Answer {
  if (!read.ok) return refusal(read.code, command);
  return state.backend.perform(command, read.items, plan, state.nowMs());
}

function answerLater(state: SimulatorState, call: Call, plan: FaultPlan, work: () => Answer): void {
  const { callFault } = plan;
  const workAt = callFault?.work ?? state.settings.workAt;
  const early = workAt === 'at-arrival' ? work() : undefined;
  const latencyMs = between(plan.latencyMs ?? state.settings.latencyMs, state.random);
  if (callFault?.kind === 'hang') {
    state.statistics.countHang();
    if (callFault.ms < 0) {
      call.entry.outcome = 'hung';
      state.statistics.countEnd(call.command, 'hung');
      return;
    }
  }
  const waitMs = callFault?.kind === 'hang' ? callFault.ms : latencyMs;
  state.timers.after(call.entry.arrivedAtMs + waitMs - state.nowMs(), () => {
    const answer = early ?? (workAt === 'never' ? undefined : work());
    finish(state, call, plan, answer);
  });
}

function finish(state: SimulatorState, call: Call, plan: FaultPlan, answer: Answer | undefined): void {
  const { command, response } = call;
  const { callFault } = plan;
  if (response.destroyed) {
    call.entry.clientGone = true;
    state.statistics.countClientGone();
  }
  // A call that hangs or is truncated and never takes effect has no answer of its own.
  const ownAnswer = answer ?? refusal(60008, command);
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
      sendGarbage(response, callFault.text);
      break;
    case 'truncate':
      end(state, call, 'truncated', null);
      sendHalf(response, renderAnswer(ownAnswer, state.nextRequestId()));
      break;
    case 'reset':
      end(state, call, 'reset', null);
      resetConnection(response);
      break;
    default:
      end(state, call, 'answered', ownAnswer.code);
      sendAnswer(state, response, ownAnswer);
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
