import { readFileSync } from 'node:fs';

/**
 * Ends the processes that this one has started when it is told to end, so that no Redis or worker is left behind.
 * Where there is no /proc they hear a Ctrl-C by themselves.
 */
export function leaveNothingBehind(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      for (const pid of childrenOf(process.pid)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It has ended by itself meanwhile.
        }
      }
      process.exit(signal === 'SIGINT' ? 130 : 143);
    });
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
