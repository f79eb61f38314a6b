import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DemoError } from './output.ts';

/** A process that the demo started. Its output goes to `<folder>/<name>.log`. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  readonly isRunning: boolean;
  /** Resolves with a phrase that says how the process ended. Never rejects. */
  readonly ended: Promise<string>;
  /** Returns the output so far. */
  output(): string;
  /** Sends SIGTERM, and SIGKILL after 8 s. Resolves when the process has ended. */
  stop(): Promise<void>;
  /** Sends SIGKILL, for an exit that cannot wait. */
  killNow(): void;
}

const GRACE_MS = 8_000;
const START_MS = 20_000;

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
    // Its own process group: Ctrl-C reaches only the demo, which then stops its children in order.
    child = spawn(command, args, { env, stdio: ['ignore', log, log], detached: true });
  } finally {
    closeSync(log);
  }
  let running = true;
  const ended = new Promise<string>((resolve) => {
    const finish = (how: string): void => {
      running = false;
      resolve(how);
    };
    child.once('error', (error) => finish(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) =>
      finish(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
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
      const killTimer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      await ended;
      clearTimeout(killTimer);
    },
    killNow() {
      if (running) child.kill('SIGKILL');
    },
  };
}

/**
 * Polls `look` until it returns a value. Rejects with a DemoError after 20 s, or when the process has ended.
 * `goal` completes the sentence "worker-1 did not …".
 */
export async function waitForChild<T>(
  child: Child,
  goal: string,
  look: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (!child.isRunning) throw unexpectedEnd(child, await child.ended);
    if (performance.now() > deadline) {
      throw new DemoError(`The demo's ${child.name} did not ${goal} within ${START_MS / 1_000} s.`);
    }
    await sleep(25);
  }
}

/** The error for a process that should still run. It quotes the end of the process's output. */
export function unexpectedEnd(child: Child, how: string): DemoError {
  const last = child.output().trim().split('\n').slice(-2).join('\n  ');
  // The output of a killed process does not say why it ended.
  const quote = last === '' || how.startsWith('was ended') ? '' : ` Its last output:\n  ${last}`;
  return new DemoError(`The demo's ${child.name} ${how} unexpectedly.${quote}`);
}

/** Returns the `url` of the first JSON log line whose `msg` begins with `msg`. */
export function urlInLog(output: string, msg: string): string | undefined {
  const line = output.split('\n').find((text) => text.includes(`"msg":"${msg}`) && text.endsWith('}'));
  return line === undefined ? undefined : (JSON.parse(line) as { url: string }).url;
}
