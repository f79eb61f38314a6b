import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fieldsAt, InvalidInput, numberAt, parseJson, textsAt } from '../scenario/input.ts';
import type { SimulatorState } from '../state.ts';
import { readQuotas } from '../traffic/quotas.ts';
import { readBody, sendJson, sendLines, sendTooLarge } from './transport.ts';

const ACCOUNT_PATH = '/_sim/accounts/';

/** True for requests to the simulator itself, false for those to the simulated API. */
export function isControlPath(url: string): boolean {
  return url.startsWith('/_sim/');
}

/**
 * Answers `/_sim/…`. Anyone may read; a change needs `Authorization: Bearer <control token>`.
 * Status codes: 400 invalid input, 401 no token or a wrong one, 404 no such path, 413 body too large.
 * Errors are `{"error": sentence}`.
 */
export async function handleControlRequest(
  state: SimulatorState,
  controlToken: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  if (request.method === 'GET') {
    read(state, path, response);
    return;
  }
  const change = CHANGES[`${request.method} ${path}`];
  if (change === undefined) {
    sendError(response, 404, `There is no ${request.method} ${path}.`);
    return;
  }
  if (!hasToken(request.headers.authorization, controlToken)) {
    response.setHeader('WWW-Authenticate', 'Bearer');
    sendError(response, 401, 'A change needs the header Authorization: Bearer with the control token.');
    return;
  }
  const body = await readBody(request, state.maxBodyBytes);
  if (body.kind === 'aborted') return;
  if (body.kind === 'too-large') {
    sendTooLarge(response, state.maxBodyBytes);
    return;
  }
  try {
    sendJson(response, JSON.stringify(change(state, body.text)));
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    sendError(response, 400, error.message);
  }
}

function read(state: SimulatorState, path: string, response: ServerResponse): void {
  if (path === '/_sim/report') sendJson(response, JSON.stringify(state.report()));
  else if (path === '/_sim/faults') sendJson(response, JSON.stringify(state.scenario));
  else if (path === '/_sim/quotas') sendJson(response, JSON.stringify(state.quotas.quotas));
  else if (path === '/_sim/calls') sendLines(response, state.calls.entries());
  else if (path === '/_sim/accounts') sendLines(response, state.store.accounts.values());
  else if (path.startsWith(ACCOUNT_PATH)) readAccount(state, path.slice(ACCOUNT_PATH.length), response);
  else sendError(response, 404, `There is no GET ${path}.`);
}

function readAccount(state: SimulatorState, encodedId: string, response: ServerResponse): void {
  let userId: string;
  try {
    userId = decodeURIComponent(encodedId);
  } catch {
    sendError(response, 400, 'The account ID in the path is not valid URL encoding.');
    return;
  }
  const account = state.store.accounts.get(userId);
  if (account === undefined) sendError(response, 404, `There is no account ${JSON.stringify(userId)}.`);
  else sendJson(response, JSON.stringify(account));
}

interface Deletion {
  readonly userIds: readonly string[];
  readonly deletedAtMs: number;
}

type Change = (state: SimulatorState, text: string) => unknown;
const CHANGES: Readonly<Record<string, Change>> = {
  'PUT /_sim/faults': (state, text) => {
    state.setFaults(parseJson(text, 'The scenario'));
    return state.scenario;
  },
  'PUT /_sim/quotas': (state, text) => {
    state.quotas.changeQuotas(readQuotas(parseJson(text, 'The body'), 'quotas'));
    return state.quotas.quotas;
  },
  'POST /_sim/reset': (state) => {
    state.reset();
    return {};
  },
  'POST /_sim/accounts/delete': (state, text) => {
    const userIdsAt = (value: unknown) => textsAt(value, 'userIds', 100_000, 256);
    const { userIds = userIdsAt(undefined), deletedAtMs = state.nowMs() } = fieldsAt<Deletion>(
      parseJson(text, 'The body'),
      'The body',
      { userIds: userIdsAt, deletedAtMs: (value) => numberAt(value, 'deletedAtMs', 0, 8.6e15) },
    );
    return { deleted: userIds.filter((userId) => state.store.delete(userId, deletedAtMs)).length };
  },
};

/** Compares digests, so that the time taken shows neither the length nor the content of the token. */
function hasToken(header: string | undefined, controlToken: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(header ?? ''), digest(`Bearer ${controlToken}`));
}

function sendError(response: ServerResponse, status: number, error: string): void {
  sendJson(response, JSON.stringify({ error }), status);
}
