import { readFileSync, writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { SimulatorOptions } from './options.ts';
import { InvalidInput, parseJson } from './scenario/input.ts';
import { type BatchPolicy, POLICIES, readScenario, type Scenario } from './scenario/scenario.ts';
import { startSimulator } from './simulator.ts';

interface Flags {
  readonly host: string;
  readonly port: number;
  readonly latency?: readonly [number, number];
  readonly scenario?: string;
  readonly seed: number;
  readonly quota?: Readonly<Record<string, number>>;
  readonly maxAccounts?: number;
  readonly sensitiveWord?: readonly string[];
  readonly badAccountsInBatch: BatchPolicy;
  readonly controlTokenFile?: string;
  readonly reportFile?: string;
}

const HELP = `
Environment variables (no arguments, because the process list shows those):
  IMSYNC_SDK_APP_ID           the SDKAppID whose calls are accepted; any number works
  IMSYNC_ADMIN_ID             its admin (default administrator)
  IMSYNC_SDK_SECRET_KEY       the key that verifies UserSigs; any text works
  IMSYNC_SDK_SECRET_KEY_FILE  or a file that holds it
Workers, producers and doctor need the same values, and IMSYNC_BASE_URL=http://127.0.0.1:9480.

When it is ready, it prints one JSON line with url, controlUrl and controlToken. On SIGINT, SIGTERM or SIGHUP
it prints its report as one JSON line.

Exit codes: 0 done, 1 it cannot listen, 2 wrong usage.

Example:
  $ export IMSYNC_SDK_APP_ID=1400000000 IMSYNC_SDK_SECRET_KEY=any-text-will-do
  $ imsync simulate --latency 20-80 --quota multiaccount_import=50 &
  $ IMSYNC_BASE_URL=http://127.0.0.1:9480 imsync worker

To see what happened, and which accounts it holds:
  $ curl http://127.0.0.1:9480/_sim/report
  $ curl http://127.0.0.1:9480/_sim/accounts/alice

A scenario causes faults. In this one, one call in a hundred fails for a moment; two accounts of a batch are
listed in FailAccounts; and from second 10 to second 13 no call succeeds.
  {"rules": [
    {"match": {"rate": 0.01}, "action": {"errorCode": 70169}},
    {"match": {"userIds": ["bob", "eve"]}, "action": {"failAccounts": true, "singleCode": 70399}},
    {"match": {"fromMs": 10000, "untilMs": 13000}, "action": {"errorCode": 70403}}]}
Other actions: accountCode, httpStatus, garbage, truncate, hangMs, reset, latencyMs. To set faults while it runs:
  $ curl -X PUT -H "Authorization: Bearer $TOKEN" -d @scenario.json http://127.0.0.1:9480/_sim/faults`;

/** `imsync simulate` runs a simulator of the account-import API on this machine. */
export function simulateCommand(): Command {
  return new Command('simulate')
    .description('run a simulator of the account-import API on this machine')
    .option(
      '--host <host>',
      'address to listen on; other machines can reach one that is not loopback',
      '127.0.0.1',
    )
    .option('--port <number>', 'port to listen on; 0 takes any free one', wholeNumber(0, 65535), 9480)
    .option('--latency <min-max>', 'milliseconds that every answer takes (default: 0-0)', readLatency)
    .option('--scenario <file>', 'JSON file with faults and settings; see below')
    .option('--seed <number>', 'seed of latencies and faults', wholeNumber(0, 4294967295), 1)
    .option('--quota <command=number>', 'calls per second of a command, or of total; repeatable', addQuota)
    .option(
      '--max-accounts <number>',
      'number of accounts that the plan allows; more get 70398',
      wholeNumber(0, 1e9),
    )
    .option(
      '--sensitive-word <word>',
      'word that is refused in Nick and FaceUrl with 40005; repeatable',
      addWord,
    )
    .addOption(
      new Option('--bad-accounts-in-batch <policy>', 'how a batch with a bad account is answered')
        .choices(POLICIES)
        .default('fail-accounts' satisfies BatchPolicy),
    )
    .option('--control-token-file <file>', 'file that holds the control token (default: a new token)')
    .option('--report-file <file>', 'file for the report, written at exit')
    .addHelpText('after', HELP)
    .allowExcessArguments(false)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .action(async (flags: Flags, command: Command) => {
      try {
        await simulate(optionsOf(flags), flags);
      } catch (error) {
        if (error instanceof InvalidInput) fail(command, 2, error.message);
        const { code, syscall, message } = error as NodeJS.ErrnoException;
        if (code === undefined) throw error;
        const what = syscall === 'open' ? 'write its report' : `listen on ${flags.host}:${flags.port}`;
        fail(command, 1, `The simulator cannot ${what}: ${message}.`);
      }
    });
}

async function simulate(options: SimulatorOptions, flags: Flags): Promise<void> {
  const stop = stopSignal();
  const simulator = await startSimulator(options);
  if (!isLoopback(flags.host)) {
    process.stderr.write(`Warning: the simulator listens on ${flags.host}, so others can reach it.\n`);
  }
  const ready = { msg: 'simulator is ready', url: simulator.url, controlUrl: `${simulator.url}/_sim/` };
  // A token from a file is already known, so it is not printed.
  printLine(
    flags.controlTokenFile === undefined ? { ...ready, controlToken: simulator.controlToken } : ready,
  );
  await stop;
  await simulator.close();
  const report = simulator.report();
  printLine(report);
  if (flags.reportFile !== undefined) writeFileSync(flags.reportFile, `${JSON.stringify(report)}\n`);
}

function optionsOf(flags: Flags): SimulatorOptions {
  const { env } = process;
  const appId = env.IMSYNC_SDK_APP_ID ?? '';
  if (!/^[1-9]\d{0,9}$/.test(appId))
    throw new InvalidInput('Set IMSYNC_SDK_APP_ID to the SDKAppID, a number.');
  return {
    sdkAppId: Number(appId),
    adminId: env.IMSYNC_ADMIN_ID || 'administrator',
    secretKey: secretKey(env),
    host: flags.host,
    port: flags.port,
    latencyMs: flags.latency,
    seed: flags.seed,
    quotas: flags.quota,
    maxAccounts: flags.maxAccounts ?? null,
    sensitiveWords: flags.sensitiveWord,
    badAccountsInBatch: flags.badAccountsInBatch,
    ...(flags.scenario === undefined ? {} : { scenario: scenarioFrom(flags.scenario) }),
    ...(flags.controlTokenFile === undefined
      ? {}
      : { controlToken: readText(flags.controlTokenFile, '--control-token-file').trim() }),
  };
}

function secretKey(env: NodeJS.ProcessEnv): string {
  const file = env.IMSYNC_SDK_SECRET_KEY_FILE;
  const key = env.IMSYNC_SDK_SECRET_KEY || (file ? readText(file, 'IMSYNC_SDK_SECRET_KEY_FILE').trim() : '');
  if (key === '') {
    throw new InvalidInput(
      'Set IMSYNC_SDK_SECRET_KEY or IMSYNC_SDK_SECRET_KEY_FILE to the key that signs UserSigs.',
    );
  }
  return key;
}

function scenarioFrom(file: string): Scenario {
  return readScenario(parseJson(readText(file, '--scenario'), `The scenario ${file}`));
}

function readText(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new InvalidInput(`${what} cannot be read: ${(error as NodeJS.ErrnoException).message}.`);
  }
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

function printLine(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function fail(command: Command, exitCode: number, sentence: string): never {
  process.stderr.write(`${command.name()}: ${sentence}\n`);
  process.exit(exitCode);
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

function readLatency(text: string): readonly [number, number] {
  const parts = /^(\d+)-(\d+)$/.exec(text);
  const range = [Number(parts?.[1]), Number(parts?.[2])] as const;
  if (!(range[0] <= range[1]))
    throw new InvalidArgumentError('It must be MIN-MAX in milliseconds, such as 20-80.');
  return range;
}

function addQuota(
  text: string,
  before: Readonly<Record<string, number>> = {},
): Readonly<Record<string, number>> {
  const parts = /^([a-z0-9_]+)=(\d+)$/.exec(text);
  if (parts === null)
    throw new InvalidArgumentError('It must be COMMAND=NUMBER, such as multiaccount_import=50.');
  return { ...before, [String(parts[1])]: Number(parts[2]) };
}

function addWord(word: string, before: readonly string[] = []): readonly string[] {
  return [...before, word];
}
