import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';

/** Gives a process a quarter of a core, as a container may have no more. */
export interface Throttle {
  readonly how: string;
  /** The process has all of it again. It may have ended. */
  end(): Promise<void>;
}

const PERIOD_MS = 100;
const SHARE = 0.25;

/** A control group does it best. Where none can be made, the process is stopped for most of each period. */
export function throttle(pid: number): Throttle {
  return byGroup('/sys/fs/cgroup/cpu', pid) ?? byGroup('/sys/fs/cgroup', pid) ?? bySignals(pid);
}

/** `root`: of the first version's hierarchy, or of the second's. */
function byGroup(root: string, pid: number): Throttle | undefined {
  const group = join(root, `imsync-chaos-${pid}`);
  const [quota, period] = [SHARE * PERIOD_MS * 1_000, PERIOD_MS * 1_000].map(String);
  try {
    mkdirSync(group);
    try {
      if (root.endsWith('/cpu')) {
        writeFileSync(join(group, 'cpu.cfs_period_us'), String(period));
        writeFileSync(join(group, 'cpu.cfs_quota_us'), String(quota));
      } else writeFileSync(join(group, 'cpu.max'), `${quota} ${period}`);
      writeFileSync(join(group, 'cgroup.procs'), String(pid));
    } catch (error) {
      rmdirSync(group);
      throw error;
    }
  } catch {
    return undefined;
  }
  return {
    how: 'by a control group',
    async end() {
      try {
        writeFileSync(join(root, 'cgroup.procs'), String(pid));
      } catch {
        // It has ended.
      }
      await eventually('the group is empty', () => {
        rmdirSync(group);
        return true;
      });
    },
  };
}

function bySignals(pid: number): Throttle {
  const send = (signal: NodeJS.Signals): void => {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended.
    }
  };
  const timer = setInterval(() => {
    send('SIGSTOP');
    setTimeout(() => send('SIGCONT'), (1 - SHARE) * PERIOD_MS);
  }, PERIOD_MS);
  return {
    how: 'by signals',
    async end() {
      clearInterval(timer);
      send('SIGCONT');
    },
  };
}
