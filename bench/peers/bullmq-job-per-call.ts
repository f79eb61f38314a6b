import { Worker } from 'bullmq';
import { got } from 'got';
import { apiUser } from '../stage/api-user.ts';
import type { CrowdUser } from '../stage/crowd.ts';
import { readTask, whenToldToBegin } from '../stage/peer.ts';

/**
 * The floor: a job that holds its 100 users, and one POST by got. It coalesces nothing, keeps no quota, no order and no
 * books, and loses users whenever something fails: what is left is the cost of the parts that this project stands on.
 */
const { redisPort, callUrl, concurrency } = readTask();
const post = got.extend({ method: 'POST', retry: { limit: 0 }, throwHttpErrors: false, decompress: false });

const worker = new Worker<CrowdUser[]>(
  'event-peer',
  async ({ data }) => {
    const body = JSON.stringify({ AccountList: data.map(apiUser) });
    const answer = await post(callUrl, { body, headers: { 'content-type': 'application/json' } });
    const { ErrorCode } = JSON.parse(answer.body) as { ErrorCode: number };
    if (ErrorCode !== 0) throw new Error(`the API answers ${ErrorCode}`);
  },
  {
    connection: { port: redisPort, host: '127.0.0.1', maxRetriesPerRequest: null },
    concurrency,
    removeOnComplete: { count: 0 },
    autorun: false,
  },
);
worker.on('error', (error) => process.stderr.write(`${error.message}\n`));
await worker.waitUntilReady();
await whenToldToBegin();
void worker.run();
