import type { ImportCommand } from '../im/bodies.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';

const backlogScript = loadScript(import.meta.url, '../redis/prelude.lua', 'backlog.lua');

/** What stands before an event that is added now. */
export interface Backlog {
  /** Entries in the intake. */
  readonly waiting: number;
  /** Calls that wait for their slot, by command; those on the wire, and those to be retried later, do not count. */
  readonly calls: Readonly<
    Partial<Record<ImportCommand, { readonly calls: number; readonly users: number }>>
  >;
  /** Calls that started in the last second, of the commands asked about. */
  readonly started: Readonly<Partial<Record<ImportCommand, number>>>;
  readonly isHeld: boolean;
  readonly isPaused: boolean;
}

export async function readBacklog(
  redis: RedisClient,
  keys: Keys,
  commands: readonly ImportCommand[] = [],
): Promise<Backlog> {
  const [waiting, held, paused, started, ...rest] = (await runScript(
    redis,
    backlogScript,
    [
      keys.stream,
      keys.returned,
      keys.open,
      keys.hold,
      ...commands.map((command) => keys.startedPrefix + command),
    ],
    [keys.callPrefix],
  )) as [number, string, string, number[], ...(string | number)[]];
  const calls: Partial<Record<ImportCommand, { calls: number; users: number }>> = {};
  for (let i = 0; i + 2 < rest.length; i += 3)
    calls[rest[i] as ImportCommand] = { users: Number(rest[i + 1]), calls: Number(rest[i + 2]) };
  return {
    waiting: Number(waiting),
    calls,
    started: Object.fromEntries(commands.map((command, at) => [command, Number(started[at] ?? 0)])),
    isHeld: held !== '',
    isPaused: paused !== '',
  };
}
