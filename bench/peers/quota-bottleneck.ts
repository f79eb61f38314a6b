import Bottleneck from 'bottleneck';
import { Redis } from 'ioredis';
import { callUsers } from '../stage/api-user.ts';
import { importUsers } from '../stage/call.ts';
import { readTask, sayDone, whenToldToBegin } from '../stage/peer.ts';

/** bottleneck, clustered over Redis: one call each 10 ms, the even spacing that its documentation advises. */
const { redisPort, callUrl, concurrency, calls } = readTask();
const limiter = new Bottleneck({
  id: 'quota-peer',
  datastore: 'ioredis',
  Redis,
  clientOptions: { port: redisPort, host: '127.0.0.1' },
  clearDatastore: false,
  minTime: 10,
  maxConcurrent: concurrency,
});
await limiter.ready();
await whenToldToBegin();
await Promise.all(calls.map((prefix) => limiter.schedule(() => importUsers(callUrl, callUsers(prefix)))));
sayDone();
