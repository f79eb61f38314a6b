import { Command } from 'commander';
import { ConfigError } from '../config/config.ts';
import type { LoadedConfig } from '../config/load.ts';
import { examine, unreadable } from '../doctor/examine.ts';
import { type Finding, findingLines, verdictOfFindings } from '../doctor/finding.ts';
import { escaped } from '../ops/feed/record.ts';
import { loadForCommand, readTextFile } from './context.ts';
import { EXIT } from './fail.ts';
import { printResult } from './format.ts';

const HELP = `
Changes nothing. Sends a few commands to Redis and one call to the API: account_check of an ID that does not exist.
--send-test-notice also sends a message to each receiver of IMSYNC_NOTIFY_URLS, and says what it answers.
A line begins with ✓ (in order), ✗ (wrong, with what to do) or – (not checked, with the reason).

Exit codes: 0 all is well, 1 something is wrong, 2 the settings are wrong, 3 Redis or the API is out of reach.`;

const ENDS = {
  well: [EXIT.done, 'All is well.'],
  wrong: [EXIT.failed, 'Something is wrong: see the lines marked ✗.'],
  configuration: [EXIT.usage, 'The settings are wrong or incomplete: see the lines marked ✗.'],
  'out-of-reach': [EXIT.outOfReach, 'Something is out of reach: see the lines marked ✗.'],
} as const;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check settings, Redis, the API and the workers, and say what to do')
    .option('--json', 'print one JSON object: {"ok","exitCode","checks":[{"name","state","text","todo"}]}')
    .option('--send-test-notice', 'send a test message to each receiver of notices')
    .addHelpText('after', HELP)
    .action(async (options: { json?: boolean; sendTestNotice?: boolean }, command: Command) => {
      const findings = await findingsOf(command, options.sendTestNotice === true);
      const [exitCode, summary] = ENDS[verdictOfFindings(findings)];
      const result = { ok: exitCode === EXIT.done, exitCode, checks: findings };
      printResult(
        options.json,
        result,
        `${[...findingLines(findings).map(escaped), '', summary].join('\n')}\n`,
      );
      process.exitCode = exitCode;
    });
}

async function findingsOf(command: Command, sendTestNotice: boolean): Promise<Finding[]> {
  let loaded: LoadedConfig;
  try {
    loaded = loadForCommand(command);
  } catch (error) {
    if (error instanceof ConfigError) return unreadable(error.problems);
    throw error;
  }
  return examine(loaded.config, readTextFile, sendTestNotice);
}
