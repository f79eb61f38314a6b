import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../../', import.meta.url);
const LOADER = new URL('test/support/ts-loader.js', ROOT).href;
const MAIN = fileURLToPath(new URL('simulator/main.ts', ROOT));

/** One run of `simulator/main.ts`, from the sources. */
export class SimulateRun {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
  readonly #lines: AsyncIterator<string>;
  stderr = '';

  constructor(args: readonly string[], env: NodeJS.ProcessEnv) {
    const { PATH } = process.env;
    this.process = spawn(process.execPath, ['--import', LOADER, MAIN, ...args], {
      env: { PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process.stderr.on('data', (chunk) => {
      this.stderr += String(chunk);
    });
    this.#lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
    this.ended = once(this.process, 'close').then(([code]) => code as number | null);
  }

  /** The next line of standard output; undefined at its end. */
  async line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next();
    return done ? undefined : value;
  }
}
