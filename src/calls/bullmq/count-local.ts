import type { ImportCommand } from '../../im/bodies.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { loadScript, runScript } from '../../redis/script.ts';

const countScript = loadScript(import.meta.url, '../../redis/prelude.lua', 'count-local.lua');

/**
 * Open calls of a command that no job stands for: a process works them off itself, or died over them just now.
 * `jobPrefix`: of the keys of BullMQ's jobs of the command.
 */
export async function countCallsInHand(
  connection: RedisClient,
  keys: Keys,
  command: ImportCommand,
  jobPrefix: string,
): Promise<number> {
  return Number(await runScript(connection, countScript, [keys.open], [keys.callPrefix, command, jobPrefix]));
}
