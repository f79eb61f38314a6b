import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A process that only waits for slots 10.1 ms apart (peers/idle-timer.ts): what it misses, this machine misses. */
export interface IdleTimer {
  /** Share of the slots since the last time this was asked, 0..1, at which it was too late for a call. */
  missedShare(): Promise<number>;
  stop(): void;
}

const loader = fileURLToPath(new URL('../../test/support/ts-loader.js', import.meta.url));
const file = fileURLToPath(new URL('../peers/idle-timer.ts', import.meta.url));

export function startIdleTimer(): IdleTimer {
  const child: ChildProcess = fork(file, { execArgv: ['--import', loader] });
  return {
    async missedShare() {
      const answered = once(child, 'message');
      child.send('tell');
      const [{ slots, late }] = (await answered) as [{ readonly slots: number; readonly late: number }];
      return late / Math.max(1, slots);
    },
    stop: () => child.disconnect(),
  };
}
