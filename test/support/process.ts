import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

/** A real `imsync` process of the built package. */
export interface ImsyncProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Lines of standard output so far. */
  readonly lines: readonly string[];
  readonly stderr: () => string;
  /** The JSON line with this `msg`, once it was printed. */
  line(msg: string, timeoutMs?: number): Promise<Record<string, unknown>>;
  signal(signal: NodeJS.Signals): void;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/**
 * `env` is all it gets of IMSYNC_*, so that a developer's shell changes no test. A worker's ops server takes any
 * free port unless `env` names one, so that several run on one machine. `input` is its standard input; none by default.
 */
export function imsync(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input?: string | Buffer,
  {
    build = cli,
    nodeArgs = [],
    stdout = 'pipe',
    stderr: errors = 'pipe',
  }: {
    /** The command of another build. */
    readonly build?: string;
    /** Node's own arguments. */
    readonly nodeArgs?: readonly string[];
    /** Open files of the test's own, which `lines` and `stderr` tell nothing of then. */
    readonly stdout?: number | 'pipe';
    readonly stderr?: number | 'pipe';
  } = {},
): ImsyncProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('IMSYNC_'));
  const child = spawn(process.execPath, [...nodeArgs, build, ...args], {
    env: {
      ...Object.fromEntries(inherited),
      ...(args.includes('worker') && { IMSYNC_OPS_PORT: '0' }),
      ...env,
    },
    stdio: [input === undefined ? 'ignore' : 'pipe', stdout, errors],
  });
  // It may end before it has read all.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  const lines: string[] = [];
  let rest = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => {
      if (rest !== '') lines.push(rest);
      resolve(code ?? signal ?? -1);
    });
  });
  return {
    child,
    pid: child.pid ?? 0,
    lines,
    stderr: () => stderr,
    line: (msg, timeoutMs) =>
      eventually(
        `a line "${msg}" of imsync ${args.join(' ')} (stderr: ${stderr})`,
        () => {
          const found = lines.find((line) => line.includes(JSON.stringify(msg)));
          return found === undefined ? undefined : (JSON.parse(found) as Record<string, unknown>);
        },
        timeoutMs,
      ),
    signal: (signal) => child.kill(signal),
    ended,
  };
}

/** Runs a verb to its end, and fails if it left something open. */
export async function imsyncRun(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input?: string | Buffer,
): Promise<{ code: number | NodeJS.Signals; stdout: string; stderr: string }> {
  const process = imsync(args, env, input);
  const code = await process.ended;
  if (process.stderr().includes('ended with open resources'))
    throw new Error(`imsync ${args.join(' ')} did not close all: ${process.stderr()}`);
  return { code, stdout: process.lines.join('\n'), stderr: process.stderr() };
}
