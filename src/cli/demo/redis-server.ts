import { type ExecFileException, execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { CliError, EXIT } from '../fail.ts';

const run = promisify(execFile);

const WHAT_TO_INSTALL =
  'redis-server 6.2 or newer is needed on the PATH: install it (Debian, Ubuntu: ' +
  'apt-get install redis-server; macOS: brew install redis) and start again.';

/**
 * Makes sure that redis-server is on the PATH: root gets it installed with apt-get if it is missing. Throws a
 * CliError that says what to install if that cannot be done. `signal` ends an installation.
 */
export async function installRedisServer(say: (text: string) => void, signal?: AbortSignal): Promise<void> {
  if (isInstalled()) return;
  if (process.getuid?.() !== 0) throw new CliError(EXIT.outOfReach, WHAT_TO_INSTALL);
  say('redis-server is not installed. The demo installs it with apt-get; this may take a minute.');
  await runApt(['update', '-qq'], signal);
  await runApt(['install', '-y', '-qq', '--no-install-recommends', 'redis-server'], signal);
  if (!isInstalled()) throw new CliError(EXIT.outOfReach, WHAT_TO_INSTALL);
  say('redis-server is installed; it stays installed after the demo.');
}

function isInstalled(): boolean {
  return spawnSync('redis-server', ['--version']).error === undefined;
}

/** Rejects with a CliError that quotes the end of apt-get's output. */
async function runApt(args: readonly string[], signal?: AbortSignal): Promise<void> {
  try {
    await run('apt-get', args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, signal });
  } catch (error) {
    const { code, message, stdout = '', stderr = '' } = error as ExecFileException;
    if (String(code) === 'ENOENT') throw new CliError(EXIT.outOfReach, WHAT_TO_INSTALL);
    const last = `${stdout}${stderr}`.trim().split('\n').slice(-3).join(' | ');
    const how = typeof code === 'number' ? `failed with exit code ${code}` : `could not be run (${message})`;
    const quote = last === '' ? '' : `: ${last}`;
    throw new CliError(EXIT.outOfReach, `apt-get ${args[0]} ${how}${quote}. ${WHAT_TO_INSTALL}`);
  }
}
