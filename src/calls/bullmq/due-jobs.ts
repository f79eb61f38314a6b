import type { ImportCommand } from '../../im/bodies.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { loadScript, runScript } from '../../redis/script.ts';
import { queueName } from './queues.ts';

const dueJobsScript = loadScript(import.meta.url, 'due-jobs.lua');

/** A delayed job that is due is fetched within this; clocks may be a little off. */
const DUE_SINCE_MS = 5_000;

/** Jobs of a command that could run now: those that wait, and those put off that have been due for a while. */
export async function countDueJobs(
  connection: RedisClient,
  keys: Keys,
  command: ImportCommand,
  nowMs: number,
): Promise<number> {
  const jobs = `${keys.bullPrefix}:${queueName(command)}`;
  // BullMQ keeps the time of a delayed job in the upper bits of its score.
  const due = (nowMs - DUE_SINCE_MS) * 0x1000;
  return Number(await runScript(connection, dueJobsScript, [`${jobs}:wait`, `${jobs}:delayed`], [due]));
}
