/**
 * Loaded into a process before its own code (`NODE_OPTIONS=--import`): writes down when each call leaves, a line each:
 * milliseconds of the machine's monotonic clock, which all its processes share, and the command.
 *
 * CHAOS_DEPARTURES  the file; many processes may append to one
 */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';

const file = process.env.CHAOS_DEPARTURES ?? '';
subscribe('http.client.request.start', (message) => {
  const { path } = /** @type {{ request: import('node:http').ClientRequest }} */ (message).request;
  // Only the command: what follows in the path is a secret.
  const command = /\/(\w+)\?/.exec(path)?.[1] ?? '';
  appendFileSync(file, `${Number(process.hrtime.bigint()) / 1e6} ${command}\n`);
});
