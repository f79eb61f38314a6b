import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Account } from './accounts/account-store.ts';
import { handleApiRequest } from './http/api-handler.ts';
import { handleControlRequest, isControlPath } from './http/control-handler.ts';
import { resolveOptions, type SimulatorOptions } from './options.ts';
import type { Scenario } from './scenario/scenario.ts';
import { SimulatorState } from './state.ts';
import { TICK_MS } from './traffic/arrivals.ts';
import { type Quotas, readQuotas } from './traffic/quotas.ts';
import type { CallEntry, SimulatorReport } from './traffic/statistics.ts';

/** A running simulator. HTTP offers the same under `/_sim/`. */
export interface Simulator {
  /** `http://host:port`, the base URL of the API. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly controlToken: string;
  /** All accounts by ID, as they are now. */
  readonly accounts: ReadonlyMap<string, Readonly<Account>>;
  report(): SimulatorReport;
  /** The call log, oldest first. */
  calls(): readonly Readonly<CallEntry>[];
  /** Replaces the scenario. `{}` ends it. Throws InvalidInput. */
  setFaults(scenario: Scenario): void;
  /** Changes the quotas named. Throws InvalidInput. */
  setQuotas(quotas: Quotas): void;
  /** Clears accounts, calls and counters. Scenario and quotas stay. */
  reset(): void;
  /** Closes every connection and cancels pending answers. A second call does no harm. */
  close(): Promise<void>;
}

/** How long an idle connection is kept. */
const KEEP_ALIVE_MS = 75_000;
/** The time limit for a header and a request. It is long, because clients connect before they have a slot. */
const REQUEST_TIMEOUT_MS = 600_000;

/**
 * Starts the simulator of the account-import REST API over HTTP.
 * Rejects with InvalidInput for invalid options, or with the system's error
 * (such as `EADDRINUSE`) if it cannot listen.
 */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const resolved = resolveOptions(options);
  const state = new SimulatorState(resolved);
  const server = createServer({
    noDelay: true,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
  });
  server.on('connection', () => {
    state.statistics.counts.connectionsOpened += 1;
  });
  server.on('request', (request, response) => {
    // Read before anything else: this moment counts as the call's arrival.
    const arrivedAtMs = state.nowMs();
    const done = isControlPath(request.url ?? '')
      ? handleControlRequest(state, resolved.controlToken, request, response)
      : handleApiRequest(state, request, response, arrivedAtMs);
    done.catch((error: unknown) => answerInternalError(request, response, error));
  });
  const { host } = resolved;
  server.listen(resolved.port, host);
  await once(server, 'listening');
  const polled = (): void => state.stalls.polled();
  const ticking = setInterval(() => {
    state.stalls.tick(state.nowMs());
    // An immediate runs after the loop has polled for arrivals.
    setImmediate(polled).unref();
  }, TICK_MS).unref();
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    host,
    port,
    controlToken: resolved.controlToken,
    accounts: state.store.accounts,
    report: () => state.report(),
    calls: () => state.calls.entries(),
    setFaults: (scenario) => state.setFaults(scenario),
    setQuotas: (quotas) => state.quotas.changeQuotas(readQuotas(quotas, 'quotas')),
    reset: () => state.reset(),
    close: () => {
      clearInterval(ticking);
      state.closed = true;
      // The error of the callback only means that the server is closed already.
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}

/** Answers an error of the simulator itself with HTTP 500, so that no test takes it for the API's answer. */
function answerInternalError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  process.emitWarning(
    `the simulator failed on ${request.method} ${request.url?.split('?', 1)[0]}: ${String(error)}`,
  );
  if (response.headersSent) response.destroy();
  else response.writeHead(500, { 'Content-Type': 'text/plain' }).end('the simulator failed\n');
}
