#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EXIT, explain } from './cli/fail.ts';
import { escapedLines } from './cli/format.ts';

/** Each verb is loaded only when it is named: the modules of a worker alone take most of a second. */
const verbs: Readonly<Record<string, () => Promise<Command>>> = {
  worker: async () => (await import('./cli/worker.ts')).workerCommand(),
  push: async () => (await import('./cli/push.ts')).pushCommand(),
  import: async () => (await import('./cli/import/import.ts')).importCommand(),
  verify: async () => (await import('./cli/import/verify.ts')).verifyCommand(),
  status: async () => (await import('./cli/status.ts')).statusCommand(),
  relay: async () => (await import('./cli/relay/relay.ts')).relayCommand(),
  reconcile: async () => (await import('./cli/reconcile/reconcile.ts')).reconcileCommand(),
  top: async () => (await import('./cli/top/top.ts')).topCommand(),
  tail: async () => (await import('./cli/tail/tail.ts')).tailCommand(),
  dlq: async () => (await import('./cli/dlq/dlq.ts')).dlqCommand(),
  user: async () => (await import('./cli/user/user.ts')).userCommand(),
  pause: async () => (await import('./cli/status.ts')).pauseCommand(),
  resume: async () => (await import('./cli/status.ts')).resumeCommand(),
  activity: async () => (await import('./cli/activity.ts')).activityCommand(),
  console: async () => (await import('./cli/console.ts')).consoleCommand(),
  config: async () => (await import('./cli/config.ts')).configCommand(),
  doctor: async () => (await import('./cli/doctor.ts')).doctorCommand(),
  simulate: async () => (await import('#simulator')).simulateCommand(),
  demo: async () => (await import('./cli/demo/demo.ts')).demoCommand(),
};

/** A verb closes its connections within this time. A sentinel that does not answer takes longest. */
const LAST_WORD_MS = 5_000;

/** Node also counts the pipes and terminals of standard input and output as active. */
const STDIO: ReadonlySet<string> = new Set(['PipeWrap', 'TTYWrap']);

const program = new Command('imsync')
  .description('Turns user-created events on Redis into accounts of Tencent IM (Chat).')
  .version(packageVersion())
  .option(
    '--config <file>',
    'configuration file (JSON), which overrides config/*.json; environment variables override it',
  )
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 1 failed, 2 usage or configuration, 3 a dependency is out of reach.',
  );

for (const load of named(process.argv.slice(2))) program.addCommand(await load());
overrideExits(program);

// The reader has gone, as in `imsync dlq list | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done);
  process.stderr.write(
    `imsync: standard output cannot be written: ${error.message}. Check where it is redirected to.\n`,
  );
  process.exit(EXIT.failed);
});
// There is no other place to report a failure of standard error.
process.stderr.on('error', () => undefined);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed what is wrong. Help and version are not failures.
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  } else {
    const { lines, exitCode } = explain(error);
    for (const line of lines) process.stderr.write(`imsync: ${escapedLines(line)}\n`);
    process.exitCode = exitCode;
  }
}

// The verb has ended and closes what it opened. What stays open is reported and does not keep the process.
setTimeout(() => {
  const open = [...new Set(process.getActiveResourcesInfo())].filter((name) => !STDIO.has(name)).join(', ');
  process.stderr.write(`imsync: ended with open resources (${open}): this is a bug, please report it\n`);
  process.exit();
}, LAST_WORD_MS).unref();

/** The loader of the verb that the arguments name; all loaders for help and for an unknown word. */
function named(args: readonly string[]): (() => Promise<Command>)[] {
  const operand = args.find((arg, i) => !arg.startsWith('-') && args[i - 1] !== '--config');
  if (operand === undefined && args.some((arg) => arg === '--version' || arg === '-V')) return [];
  const load = operand === undefined || !Object.hasOwn(verbs, operand) ? undefined : verbs[operand];
  return load === undefined ? Object.values(verbs) : [load];
}

/** Commander exits with 1 for wrong usage; the contract says 2. */
function overrideExits(command: Command): void {
  command.exitOverride();
  command.showHelpAfterError('(see --help)');
  for (const sub of command.commands) overrideExits(sub);
}

/** The version of this package. package.json is one folder above both src/cli.ts and dist/cli.js. */
function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
