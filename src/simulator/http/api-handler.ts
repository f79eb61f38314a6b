import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CommandName } from '../commands.ts';
import { between } from '../randomness.ts';
import { type FaultPlan, NO_FAULTS } from '../scenario/fault-selector.ts';
import type { SimulatorState } from '../state.ts';
import type { CallEntry, CallOutcome } from '../traffic/call-log.ts';
import { type Answer, refusal, renderAnswer } from './answer.ts';
import { readBody } from './read-body.ts';
import { type CallBody, countDuplicates, readCallBody } from './request-body.ts';
import { checkQuery, readTarget } from './request-url.ts';
import {
  resetConnection,
  sendGarbage,
  sendGatewayPage,
  sendHalf,
  sendJson,
  sendTooLarge,
} from './transport.ts';

/** A call on its way from arrival to answer. */
interface Call {
  readonly command: CommandName;
  readonly entry: CallEntry;
  readonly response: ServerResponse;
}

/**
 * Takes one request of the API from its arrival to its end:
 * URL, query, UserSig, quota (all at arrival); then body, faults, and, when the latency is over,
 * the work itself and the answer. Work that is due is done though the client has left meanwhile, as a
 * real service would.
 */
export async function handleApiRequest(
  state: SimulatorState,
  request: IncomingMessage,
  response: ServerResponse,
  arrivedAtMs: number,
): Promise<void> {
  const target = readTarget(request.method ?? '', request.url ?? '');
  if (target.kind === 'unknown') {
    state.statistics.unknownRequest();
    sendJson(response, renderAnswer(refusal(target.code, ''), state.nextRequestId()));
    return;
  }
  const { command, query } = target;
  const entry = state.calls.open(command, arrivedAtMs);
  const call: Call = { command, entry, response };
  const earliestMs = state.stalls.earliest(arrivedAtMs);
  state.statistics.arrived(command, arrivedAtMs, earliestMs);
  const gateCode = passGate(state, command, query, arrivedAtMs, earliestMs);

  const body = await readBody(request, state.maxBodyBytes);
  if (body.kind === 'aborted') {
    state.statistics.clientGone();
    end(state, call, 'aborted', null);
    return;
  }
  if (body.kind === 'too-large') {
    end(state, call, 'http-413', null);
    sendTooLarge(response, state.maxBodyBytes);
    return;
  }
  if (gateCode !== 0) {
    answerLater(state, call, NO_FAULTS, () => refusal(gateCode, command));
    return;
  }

  const read = readCallBody(command, body.text);
  const items = read.ok ? read.items : [];
  entry.items = items.length;
  state.statistics.carried(command, items.length, countDuplicates(items));
  const plan = state.faults.select(command, items, state.nowMs());
  answerLater(state, call, plan, () => perform(state, command, read, plan));
}

/** The checks that need no body; 0 for a call that may go on. */
function passGate(
  state: SimulatorState,
  command: CommandName,
  query: string,
  nowMs: number,
  earliestMs: number,
): number {
  const queryCode = checkQuery(command, query, state.app, state.signatures, nowMs);
  if (queryCode !== 0) return queryCode;
  const quotaCode = state.quotas.admit(command, nowMs, earliestMs);
  if (quotaCode === 0) state.statistics.accepted(command);
  else state.statistics.refused(command);
  return quotaCode;
}

function perform(state: SimulatorState, command: CommandName, read: CallBody, plan: FaultPlan): Answer {
  if (!read.ok) return refusal(read.code, command);
  return state.backend.perform(command, read.items, plan, state.nowMs());
}

function answerLater(state: SimulatorState, call: Call, plan: FaultPlan, work: () => Answer): void {
  const { whole } = plan;
  const workAt = whole?.work ?? state.settings.workAt;
  const early = workAt === 'at-arrival' ? work() : undefined;
  const latencyMs = between(plan.latencyMs ?? state.settings.latencyMs, state.random);
  if (whole?.kind === 'hang') {
    state.statistics.hung();
    if (whole.ms < 0) {
      call.entry.outcome = 'hung';
      state.statistics.ended(call.command, 'hung');
      return;
    }
  }
  const waitMs = whole?.kind === 'hang' ? whole.ms : latencyMs;
  state.timers.after(call.entry.arrivedAtMs + waitMs - state.nowMs(), () => {
    const answer = early ?? (workAt === 'never' ? undefined : work());
    finish(state, call, plan, answer);
  });
}

function finish(state: SimulatorState, call: Call, plan: FaultPlan, answer: Answer | undefined): void {
  const { command, response } = call;
  const { whole } = plan;
  if (response.destroyed) {
    call.entry.clientGone = true;
    state.statistics.clientGone();
  }
  // A call that hangs, or is cut in half, and never takes effect has no answer of its own.
  const verdict = answer ?? refusal(60008, command);
  switch (whole?.kind) {
    case 'error':
      end(state, call, 'answered', whole.code);
      sendVerdict(state, response, refusal(whole.code, command, whole.info));
      break;
    case 'http':
      end(state, call, `http-${whole.status}`, null);
      sendGatewayPage(response, whole.status, whole.retryAfterSeconds);
      break;
    case 'garbage':
      end(state, call, 'garbage', null);
      sendGarbage(response, whole.text);
      break;
    case 'truncate':
      end(state, call, 'truncated', null);
      sendHalf(response, renderAnswer(verdict, state.nextRequestId()));
      break;
    case 'reset':
      end(state, call, 'reset', null);
      resetConnection(response);
      break;
    default:
      end(state, call, 'answered', verdict.code);
      sendVerdict(state, response, verdict);
  }
}

function sendVerdict(state: SimulatorState, response: ServerResponse, answer: Answer): void {
  sendJson(response, renderAnswer(answer, state.nextRequestId()));
}

function end(state: SimulatorState, call: Call, outcome: CallOutcome, errorCode: number | null): void {
  const { entry } = call;
  entry.outcome = outcome;
  entry.errorCode = errorCode;
  entry.latencyMs = state.nowMs() - entry.arrivedAtMs;
  state.statistics.ended(call.command, errorCode === null ? outcome : String(errorCode));
}
