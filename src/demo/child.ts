import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const GRACE_MS = 8_000;
const START_MS = 20_000;

/** The demo cannot go on. `outOfReach` means that something is missing on this machine. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
  readonly outOfReach: boolean;
  constructor(message: string, outOfReach = false) {
    super(message);
    this.outOfReach = outOfReach;
  }
}

/** A process that the demo started. Its output goes to `<folder>/<name>.log`. */
export class Child {
  readonly name: string;
  /** Resolves with a phrase that says how the process ended. Never rejects. */
  readonly ended: Promise<string>;
  readonly #logFile: string;
  readonly #process: ChildProcess;
  #isRunning = true;

  constructor(
    name: string,
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    folder: string,
  ) {
    this.name = name;
    this.#logFile = join(folder, `${name}.log`);
    const log = openSync(this.#logFile, 'a', 0o600);
    try {
      // Its own process group: Ctrl-C reaches only the demo, which then stops its children in order.
      this.#process = spawn(command, args, { env, stdio: ['ignore', log, log], detached: true });
    } finally {
      closeSync(log);
    }
    this.ended = new Promise<string>((resolve) => {
      const finish = (how: string): void => {
        this.#isRunning = false;
        resolve(how);
      };
      this.#process.once('error', (error) => finish(`could not be started: ${error.message}`));
      this.#process.once('exit', (code, signal) =>
        finish(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
      );
    });
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  output(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  /** Returns the `url` of the first JSON log line whose `msg` begins with `msg`. */
  urlInLog(msg: string): string | undefined {
    const lines = this.output().split('\n');
    const line = lines.find((text) => text.includes(`"msg":"${msg}`) && text.endsWith('}'));
    return line === undefined ? undefined : (JSON.parse(line) as { url: string }).url;
  }

  /**
   * Polls `look` until it returns a value. Rejects with a DemoError after 20 s, or when the process has
   * ended. `goal` completes the sentence "worker-1 did not …".
   */
  async until<T>(goal: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const deadline = performance.now() + START_MS;
    for (;;) {
      const seen = await look();
      if (seen !== undefined) return seen;
      if (!this.#isRunning) throw this.unexpectedEnd(await this.ended);
      if (performance.now() > deadline) {
        throw new DemoError(`The demo's ${this.name} did not ${goal} within ${START_MS / 1_000} s.`);
      }
      await sleep(25);
    }
  }

  /** The error for a process that should still run. It quotes the end of the process's output. */
  unexpectedEnd(how: string): DemoError {
    const last = this.output().trim().split('\n').slice(-2).join('\n  ');
    // The output of a killed process does not say why it ended.
    const quote = last === '' || how.startsWith('was ended') ? '' : ` Its last output:\n  ${last}`;
    return new DemoError(`The demo's ${this.name} ${how} unexpectedly.${quote}`);
  }

  /** Sends SIGTERM, and SIGKILL after 8 s. Resolves when the process has ended. */
  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    this.#process.kill('SIGTERM');
    const killTimer = setTimeout(() => this.killNow(), GRACE_MS);
    await this.ended;
    clearTimeout(killTimer);
  }

  /** Sends SIGKILL, for an exit that cannot wait. */
  killNow(): void {
    if (this.#isRunning) this.#process.kill('SIGKILL');
  }
}
