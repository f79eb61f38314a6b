import pThrottle from 'p-throttle';
import { callUsers } from '../stage/api-user.ts';
import { importUsers } from '../stage/call.ts';
import { readTask, sayDone, whenToldToBegin } from '../stage/peer.ts';

/** p-throttle in its strict form. It knows one process only. */
const { callUrl, calls } = readTask();
const throttled = pThrottle({ limit: 100, interval: 1000, strict: true })((prefix: string) =>
  importUsers(callUrl, callUsers(prefix)),
);
await whenToldToBegin();
await Promise.all(calls.map((prefix) => throttled(prefix)));
sayDone();
