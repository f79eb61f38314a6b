import { Worker } from 'bullmq';
import { callUsers } from '../stage/api-user.ts';
import { importUsers } from '../stage/call.ts';
import { readTask, whenToldToBegin } from '../stage/peer.ts';

/** BullMQ's own limiter: 100 jobs per 1000 ms over all workers of the queue; a job is a call of 100 users. */
const { redisPort, callUrl, concurrency } = readTask();
await whenToldToBegin();
const worker = new Worker<{ prefix: string }>(
  'quota-peer',
  async ({ data }) => importUsers(callUrl, callUsers(data.prefix)),
  {
    connection: { port: redisPort, host: '127.0.0.1', maxRetriesPerRequest: null },
    concurrency,
    limiter: { max: 100, duration: 1000 },
    removeOnComplete: { count: 0 },
  },
);
worker.on('error', (error) => process.stderr.write(`${error.message}\n`));
