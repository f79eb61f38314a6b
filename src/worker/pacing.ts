import type { Config } from '../config/config.ts';
import type { Line } from '../delivery/make-call.ts';
import type { DeliveryCommand, ImportCommand } from '../im/bodies.ts';
import { spacingMicros } from '../pace/budget.ts';
import { createHoldState, type HoldState } from '../pace/hold/hold-state.ts';
import { type HoldWatch, watchHold } from '../pace/hold/hold-watch.ts';
import { quotaOf } from '../pace/quotas.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import { createSlotBook } from '../pace/slot.ts';
import { createDispenser, type Dispenser } from '../pace/slot-queue.ts';
import type { Keys } from '../redis/keys.ts';
import type { Connections } from './connections.ts';

/** When this process may call: the fleet's hold, and a line for each command. */
export interface Pacing {
  readonly hold: HoldState;
  readonly watch: HoldWatch;
  readonly lines: Readonly<Record<string, Line>>;
  /** The checks' own. */
  readonly checkLine: Line;
  /** Of all lines. */
  readonly dispensers: readonly { readonly command: DeliveryCommand; readonly dispenser: Dispenser }[];
}

export async function openPacing(
  config: Config,
  connections: Pick<Connections, 'commands' | 'watch' | 'log'>,
  keys: Keys,
  commands: readonly ImportCommand[],
  clock = createRedisClock(),
): Promise<Pacing> {
  const redis = connections.commands;
  const watch = await watchHold(connections.watch, keys);
  const hold = createHoldState(redis, keys);
  const lineOf = (command: DeliveryCommand): Line => {
    const book = createSlotBook(redis, keys, command, clock, spacingMicros(quotaOf(config, command)));
    const dispenser = createDispenser({
      book,
      watch,
      onUnusedProbe: (slot) => hold.missed(slot),
      onTrouble: connections.log.trouble('asking for call slots'),
    });
    return { command, book, dispenser };
  };
  const lines = Object.fromEntries(commands.map((command) => [command, lineOf(command)]));
  const checkLine = lineOf('account_check');
  const dispensers = [...Object.values(lines), checkLine];
  // Learns what Redis's clock says before the first slot: so it sees it, should that be set forward.
  await checkLine.book.look();
  return { hold, watch, lines, checkLine, dispensers };
}
