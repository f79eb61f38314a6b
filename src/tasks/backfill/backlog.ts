import type { ImportCommand } from '../../im/bodies.ts';
import type { AppRedis } from '../../redis/keys.ts';
import { askScript, fieldsOf, loadScript } from '../../redis/script.ts';

const backlogScript = loadScript(import.meta.url, 'backlog.lua');

/** What stands before an event that is added now. */
export interface Backlog {
  /** Entries in the intake. */
  readonly waiting: number;
  /** Calls that wait for their slot, by command, without those on the wire and those to be retried later. */
  readonly calls: Readonly<Partial<Record<ImportCommand, number>>>;
  /** Calls that started in the last second, of the commands asked about. */
  readonly started: Readonly<Partial<Record<ImportCommand, number>>>;
  readonly isHeld: boolean;
  readonly isPaused: boolean;
}

export async function readBacklog(
  { redis, keys }: AppRedis,
  commands: readonly ImportCommand[] = [],
): Promise<Backlog> {
  const reply = fieldsOf<BacklogReply>(await askScript(redis, backlogScript, keys, { commands }));
  const { waiting, calls, started, held, paused } = reply;
  return {
    waiting,
    calls: fieldsOf(calls),
    started: fieldsOf(started),
    isHeld: held !== null,
    isPaused: paused !== null,
  };
}

/** `held` and `paused` say why as JSON. */
type BacklogReply = Record<'held' | 'paused', string | null> &
  Record<'calls' | 'started', unknown> & { waiting: number };
