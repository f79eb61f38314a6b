import { Redis } from 'ioredis';
import { RateLimiterQueue, RateLimiterRedis } from 'rate-limiter-flexible';
import { callUsers } from '../stage/api-user.ts';
import { importUsers } from '../stage/call.ts';
import { readTask, sayDone, whenToldToBegin } from '../stage/peer.ts';

/** rate-limiter-flexible: 100 points a second in Redis, with its own queue in front. */
const { redisPort, callUrl, calls } = readTask();
const storeClient = new Redis({ port: redisPort, host: '127.0.0.1' });
const queue = new RateLimiterQueue(
  new RateLimiterRedis({ storeClient, keyPrefix: 'quota-peer', points: 100, duration: 1 }),
  { maxQueueSize: 100_000 },
);
await whenToldToBegin();
await Promise.all(
  calls.map(async (prefix) => {
    await queue.removeTokens(1);
    await importUsers(callUrl, callUsers(prefix));
  }),
);
sayDone();
