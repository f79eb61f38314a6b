#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { configCommand } from './cli/config.ts';
import { demoCommand } from './cli/demo.ts';
import { dlqCommand } from './cli/dlq.ts';
import { doctorCommand } from './cli/doctor.ts';
import { EXIT, explain } from './cli/fail.ts';
import { importCommand } from './cli/import.ts';
import { pauseCommand, resumeCommand } from './cli/pause.ts';
import { pushCommand } from './cli/push.ts';
import { simulateCommand } from './cli/simulate.ts';
import { statusCommand } from './cli/status.ts';
import { userCommand } from './cli/user.ts';
import { verifyCommand } from './cli/verify.ts';
import { packageVersion } from './cli/version.ts';
import { workerCommand } from './cli/worker.ts';

const program = new Command('imsync')
  .description('Turns user-created events on Redis into accounts of Tencent IM (Chat).')
  .version(packageVersion())
  .option('--config <file>', 'configuration file (JSON), over config/*.json and under environment variables')
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 1 failed, 2 usage or configuration, 3 a dependency is out of reach.',
  );

for (const command of [
  workerCommand(),
  pushCommand(),
  importCommand(),
  verifyCommand(),
  statusCommand(),
  dlqCommand(),
  userCommand(),
  pauseCommand(),
  resumeCommand(),
  configCommand(),
  doctorCommand(),
  simulateCommand(),
  demoCommand(),
]) {
  program.addCommand(command);
}
overrideExits(program);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong; help and version are no failures.
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  } else {
    const { lines, exitCode } = explain(error);
    for (const line of lines) process.stderr.write(`imsync: ${line}\n`);
    process.exitCode = exitCode;
  }
}

/** Commander would exit with 1 for bad usage; the contract says 2. */
function overrideExits(command: Command): void {
  command.exitOverride();
  command.showHelpAfterError('(see --help)');
  for (const sub of command.commands) overrideExits(sub);
}
