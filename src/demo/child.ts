import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A process of the demo's own. Its output goes to `<folder>/<name>.log`. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  readonly isRunning: boolean;
  /** How it ended, in words. Never rejects. */
  readonly ended: Promise<string>;
  /** What it wrote so far. */
  output(): string;
  /** SIGTERM, and SIGKILL if that was not enough. Resolves when it is gone. */
  stop(): Promise<void>;
  /** SIGKILL, for an exit that cannot wait. */
  killNow(): void;
}

const GRACE_MS = 8_000;

export function startChild(options: {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
}): Child {
  const { name, command, args, env, folder } = options;
  const logFile = join(folder, `${name}.log`);
  const log = openSync(logFile, 'a', 0o600);
  let child: ChildProcess;
  try {
    // A group of its own: Ctrl-C reaches the demo alone, which then stops its children in order.
    child = spawn(command, args, { env, stdio: ['ignore', log, log], detached: true });
  } finally {
    closeSync(log);
  }
  let running = true;
  const ended = new Promise<string>((resolve) => {
    const over = (how: string): void => {
      running = false;
      resolve(how);
    };
    child.once('error', (error) => over(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) =>
      over(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
    );
  });
  return {
    name,
    pid: child.pid ?? 0,
    logFile,
    get isRunning() {
      return running;
    },
    ended,
    output: () => readFileSync(logFile, 'utf8'),
    async stop() {
      if (!running) return;
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      await ended;
      clearTimeout(late);
    },
    killNow() {
      if (running) child.kill('SIGKILL');
    },
  };
}
