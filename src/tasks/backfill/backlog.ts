import type { ImportCommand } from '../../im/bodies.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { askScript, loadScript } from '../../redis/script.ts';

const backlogScript = loadScript(import.meta.url, 'backlog.lua');

/** What stands before an event that is added now. */
export interface Backlog {
  /** Entries in the intake. */
  readonly waiting: number;
  /** Calls that wait for their slot, by command, without those on the wire and those to be retried later. */
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
  const reply = await askScript(redis, backlogScript, keys, { commands });
  const [waiting, held, paused, started, ...rest] = reply as [
    number,
    string,
    string,
    number[],
    ...(string | number)[],
  ];
  const calls: Partial<Record<ImportCommand, { calls: number; users: number }>> = {};
  for (let i = 0; i + 2 < rest.length; i += 3)
    calls[rest[i] as ImportCommand] = { users: Number(rest[i + 1]), calls: Number(rest[i + 2]) };
  return {
    waiting,
    calls,
    started: Object.fromEntries(commands.map((command, at) => [command, started[at] ?? 0])),
    isHeld: held !== '',
    isPaused: paused !== '',
  };
}
