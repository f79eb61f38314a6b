import { Worker } from 'bullmq';
import { apiUser } from '../stage/api-user.ts';
import { type ApiUser, importUsers } from '../stage/call.ts';
import type { CrowdUser } from '../stage/crowd.ts';
import { readTask, whenToldToBegin } from '../stage/peer.ts';

/**
 * How one would do it first: a BullMQ job for each event, and in each process a batcher that collects up to 100
 * users or for 10 ms and makes one call of them. Jobs are done when their call is. The worker's own
 * `autorun` waits for the start.
 */
const { redisPort, callUrl, concurrency } = readTask();
const BATCH = { users: 100, waitMs: 10 };

interface Waiting {
  readonly user: ApiUser;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}
let batch: Waiting[] = [];
let timer: NodeJS.Timeout | undefined;

function send(): void {
  const sent = batch;
  batch = [];
  clearTimeout(timer);
  timer = undefined;
  importUsers(
    callUrl,
    sent.map(({ user }) => user),
  ).then(
    () => {
      for (const { resolve } of sent) resolve();
    },
    (error: Error) => {
      for (const { reject } of sent) reject(error);
    },
  );
}

const worker = new Worker<CrowdUser>(
  'event-peer',
  ({ data }) =>
    new Promise<void>((resolve, reject) => {
      batch.push({ user: apiUser(data), resolve, reject });
      if (batch.length >= BATCH.users) send();
      else timer ??= setTimeout(send, BATCH.waitMs);
    }),
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
