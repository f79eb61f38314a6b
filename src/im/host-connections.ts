import { type Agents, type OpenRequest, openRequest } from './open-request.ts';

/** Most unsent connections kept. Few are needed, since a call keeps its own from one slot to the next. */
const MAX_SPARES = 16;
/** Common gateways drop an idle connection after 60 s. We close it before. */
export const IDLE_MS = 55_000;

/**
 * The connections to one host: those in use, those given up unsent, and one that is made ahead of its call.
 */
export interface HostConnections {
  readonly url: string;
  /** The path before /v4. */
  readonly prefix: string;
  /** Makes a connection for a call that will come soon, unless one is on its way. */
  expect(): void;
  /** Takes a connection that exists, or starts to make one. It counts as in use. */
  take(): OpenRequest;
  /** The call has ended, so the connection is no longer in use. */
  release(open: OpenRequest): void;
  /** The call did not send. Keeps the connection for a later call if it is connected and there is room. */
  giveBack(open: OpenRequest): void;
  /** Closes the connections that carry no call. */
  close(): void;
  /** Closes all connections. A call on the wire ends in a fault, and its outcome stays unknown. */
  abort(): void;
}

export function createHostConnections(
  url: string,
  agents: Agents,
  connectTimeoutMs: number,
): HostConnections {
  const { origin, pathname } = new URL(url);
  const spares: { readonly open: OpenRequest; readonly expiry: NodeJS.Timeout }[] = [];
  /**
   * An array and not a Set: a Set with many additions and deletions keeps its outgrown tables (decision 94).
   */
  const inUse: OpenRequest[] = [];
  let expected: OpenRequest | undefined;
  let isClosed = false;

  /** The latest unsent request that is still connected. */
  function takeSpare(): OpenRequest | undefined {
    for (let spare = spares.pop(); spare !== undefined; spare = spares.pop()) {
      clearTimeout(spare.expiry);
      if (spare.open.isConnected()) return spare.open;
      spare.open.destroy();
    }
    return undefined;
  }

  function use(open: OpenRequest): OpenRequest {
    inUse.push(open);
    return open;
  }

  function takeExpected(): OpenRequest | undefined {
    const open = expected;
    expected = undefined;
    return open;
  }

  function release(open: OpenRequest): void {
    const at = inUse.indexOf(open);
    if (at >= 0) inUse.splice(at, 1);
  }

  function giveBack(open: OpenRequest): void {
    release(open);
    if (isClosed || !open.isConnected() || spares.length >= MAX_SPARES) open.destroy();
    // An expired request stays in the list until takeSpare() finds that it is not connected.
    else spares.push({ open, expiry: setTimeout(() => open.destroy(), IDLE_MS).unref() });
  }

  function close(): void {
    isClosed = true;
    for (let open = takeSpare(); open !== undefined; open = takeSpare()) open.destroy();
    takeExpected()?.destroy();
  }

  return {
    url,
    prefix: pathname.replace(/\/+$/, ''),
    expect() {
      if (expected !== undefined) return;
      const open = use(takeSpare() ?? openRequest(origin, agents, connectTimeoutMs));
      expected = open;
      void open.connected.then(() => {
        if (expected === open) giveBack(takeExpected() ?? open);
      });
    },
    take() {
      const spare = takeSpare();
      if (spare !== undefined) return use(spare);
      return takeExpected() ?? use(openRequest(origin, agents, connectTimeoutMs));
    },
    release,
    giveBack,
    close,
    abort() {
      close();
      for (const open of [...inUse]) open.destroy();
    },
  };
}
