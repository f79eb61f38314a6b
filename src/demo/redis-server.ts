import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { DemoError } from './demo-error.ts';
import type { Output } from './output.ts';

const WHAT_TO_INSTALL =
  'redis-server 6.2 or newer is needed on the PATH: install it (Debian, Ubuntu: ' +
  'apt-get install redis-server; macOS: brew install redis) and start again.';

const APT_STEPS: readonly (readonly string[])[] = [
  ['update', '-qq'],
  ['install', '-y', '-qq', '--no-install-recommends', 'redis-server'],
];
const TELL_EVERY_MS = { terminal: 1_000, otherwise: 10_000 };

/**
 * The path of redis-server: from PATH, else, as root, installed with apt. Throws a DemoError that says what to
 * install. `signal` ends an installation.
 */
export async function findRedisServer(
  output: Output,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<string> {
  const found = onPath('redis-server', env);
  if (found !== undefined) return found;
  const apt = onPath('apt-get', env);
  if (apt === undefined || process.getuid?.() !== 0) throw new DemoError(WHAT_TO_INSTALL, true);
  output.line('redis-server is not on this machine: installing it with apt-get, which takes a moment.');
  const startedMs = performance.now();
  const seconds = (): number => Math.round((performance.now() - startedMs) / 1_000);
  const tell = (): void => {
    const text = `installing redis-server … ${seconds()} s`;
    if (output.isTerminal) output.block([text]);
    else output.line(text);
  };
  const timer = setInterval(tell, output.isTerminal ? TELL_EVERY_MS.terminal : TELL_EVERY_MS.otherwise);
  try {
    for (const args of APT_STEPS) await runApt(apt, args, env, signal);
  } finally {
    clearInterval(timer);
    output.block([]);
  }
  const installed = onPath('redis-server', env);
  if (installed === undefined) throw new DemoError(WHAT_TO_INSTALL, true);
  output.line(`redis-server is installed (${seconds()} s); it stays when the demo ends.`);
  return installed;
}

/** The first executable file of that name on the PATH. */
function onPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Rejects with a DemoError that holds apt's last words. */
function runApt(
  apt: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(apt, args, {
      env: { ...env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        said = (said + chunk).slice(-2_000);
      });
    }
    const failed = (how: string): void => {
      const last = said.trim().split('\n').slice(-3).join(' | ');
      const words = last === '' ? '' : `: ${last}`;
      reject(new DemoError(`apt-get ${args[0]} ${how}${words}. ${WHAT_TO_INSTALL}`, true));
    };
    child.once('error', (error) => failed(`could not be run (${error.message})`));
    child.once('close', (code) => {
      if (code === 0) resolve();
      else failed(`failed with exit code ${code}`);
    });
  });
}
