import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { transformSync } from '@swc/core';

const ROOT = join(import.meta.dirname, '../../..');

/** Compiles the command `simulate` into a folder of its own, so that no full build is needed. */
export class SimulateProgram {
  readonly folder = mkdtempSync(join(tmpdir(), 'imsync-simulate-'));

  constructor() {
    symlinkSync(join(ROOT, 'node_modules'), join(this.folder, 'node_modules'));
    writeFileSync(join(this.folder, 'package.json'), '{"type":"module"}');
    const sources = readdirSync(join(ROOT, 'src/simulator'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `simulator/${name}`);
    for (const source of ['cli/simulate.ts', ...sources]) this.#compile(source);
    const main =
      "import { simulateCommand } from './cli/simulate.js';\nawait simulateCommand().parseAsync();\n";
    writeFileSync(join(this.folder, 'main.js'), main);
  }

  run(args: readonly string[], env: NodeJS.ProcessEnv): SimulateRun {
    return new SimulateRun(join(this.folder, 'main.js'), args, env);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #compile(source: string): void {
    const { code } = transformSync(readFileSync(join(ROOT, 'src', source), 'utf8'), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
      module: { type: 'es6' },
    });
    const target = join(this.folder, source.replace(/\.ts$/, '.js'));
    mkdirSync(join(target, '..'), { recursive: true });
    writeFileSync(target, code.replaceAll(/(from\s+['"]\.[^'"]*)\.ts(['"])/g, '$1.js$2'));
  }
}

/** One run of the program. */
export class SimulateRun {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
  readonly #lines: AsyncIterator<string>;
  stderr = '';

  constructor(main: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    const { PATH } = process.env;
    this.process = spawn(process.execPath, [main, ...args], {
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
