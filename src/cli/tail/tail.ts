import { Command, InvalidArgumentError, Option } from 'commander';
import type { Outcome } from '../../event/event.ts';
import { FAULT_WORDS } from '../../im/answers.ts';
import { escaped, type FeedBatch, type Wanted } from '../../ops/feed/record.ts';
import { sendersText, watchFeed } from '../../ops/feed/watch-feed.ts';
import { readPresence } from '../../ops/presence.ts';
import { ownerTimeMs } from '../../redis/owner.ts';
import { CliError, EXIT } from '../fail.ts';
import { aborted, exitCodeAfter, withFeedConnection } from '../feed-connection.ts';
import { grouped } from '../format.ts';
import { numberFrom } from '../option.ts';
import { onInterrupt } from '../terminal.ts';
import { jsonLineOf, lineOf } from './lines.ts';

const OUTCOMES: readonly Outcome['outcome'][] = ['imported', 'superseded', 'dead-lettered'];
/** By then every worker has answered the first request, or the second one. */
const WORKERS_KNOWN_AFTER_MS = 3_000;
const LEFT_OUT_EVERY_MS = 10_000;

interface Flags {
  readonly json?: boolean;
  readonly calls?: boolean;
  readonly outcomes?: boolean;
  readonly code?: readonly string[];
  readonly user?: string;
  readonly outcome?: readonly Outcome['outcome'][];
  readonly for?: number;
  readonly count?: number;
}

export function tailCommand(): Command {
  return new Command('tail')
    .description('print calls, and how events end, as they happen')
    .option('--json', 'print one JSON object a line')
    .option('--calls', 'only calls')
    .option('--outcomes', 'only how events end')
    .option(
      '--code <code>',
      'only this error code, HTTP status or fault of the network (timeout, reset, …); may be repeated',
      addCode,
    )
    .option(
      '--user <id>',
      'only what concerns this user: the calls that carry them, and the ends of their events',
      readUser,
    )
    .addOption(
      new Option('--outcome <outcome...>', 'only events that end so; may be repeated').choices(OUTCOMES),
    )
    .option('--for <time>', 'end after this time: 30s, 5m or 1h', readTime)
    .option('--count <number>', 'end after this many lines', numberFrom(1))
    .addHelpText(
      'after',
      `
In a line, "run 2" means that the same users were called for the second time, after a failure. After 3 s a line on standard
error says which workers send.

Ctrl-C ends it with exit code 0. Lines go to standard output; what concerns the connection and the workers goes to
standard error. Nothing is stored: what happens while nobody watches is not shown later (see imsync dlq, and
IMSYNC_OUTCOMES in docs/configuration.md). A worker sends at most 500 calls and 500 outcomes a second.

Examples:
  imsync tail --code 70402
  imsync tail --user alice
  imsync tail --outcome dead-lettered --json --for 10m > letters.jsonl`,
    )
    .action(async (flags: Flags, command: Command) => {
      const wanted = wantedOf(flags);
      await withFeedConnection(
        command,
        async ({ redis, keys, subscriber }) => {
          const interruption = onInterrupt();
          const enough = new AbortController();
          const ends = [interruption.signal, enough.signal];
          if (flags.for !== undefined) ends.push(AbortSignal.timeout(flags.for));
          const printer = createPrinter(flags, () => enough.abort());
          const feed = await watchFeed({ subscriber, redis, keys, wanted, onBatch: printer.print });
          const sayWho = async (): Promise<void> => {
            const workers = await readPresence(redis, keys, await ownerTimeMs(redis, keys));
            say(sendersText(workers, feed.senders()));
          };
          // Without Redis there is nothing to say but that, and it has been said.
          const known = setTimeout(() => void sayWho().catch(() => undefined), WORKERS_KNOWN_AFTER_MS);
          await aborted(AbortSignal.any(ends));
          clearTimeout(known);
          printer.end();
          await feed.close();
          interruption.release();
          process.exitCode = exitCodeAfter(interruption);
        },
        (why) =>
          say(why === '' ? 'Redis is back; what happened meanwhile is not shown' : `Redis is away: ${why}`),
      );
    });
}

/** Prints batches, and counts what a slow reader of standard output misses. `onEnough`: `--count` is reached. */
function createPrinter({ json, count = Number.POSITIVE_INFINITY }: Flags, onEnough: () => void) {
  let printed = 0;
  let leftOut = 0;
  let saidMs = Number.NEGATIVE_INFINITY;
  const sayLeftOut = (): void => {
    if (leftOut > 0)
      say(`${grouped(leftOut)} lines left out: more than a worker sends, or than this output takes`);
    saidMs = performance.now();
    leftOut = 0;
  };
  return {
    print({ worker, records, leftOut: more }: FeedBatch): void {
      leftOut += more;
      for (const record of records) {
        if (printed >= count) break;
        if (process.stdout.writableNeedDrain) {
          leftOut += 1;
          continue;
        }
        printed += 1;
        process.stdout.write(`${json ? jsonLineOf(record, worker) : lineOf(record, worker)}\n`);
      }
      if (printed >= count) onEnough();
      if (performance.now() - saidMs >= LEFT_OUT_EVERY_MS) sayLeftOut();
    },
    end: sayLeftOut,
  };
}

function say(text: string): void {
  process.stderr.write(`imsync tail: ${escaped(text)}\n`);
}

function wantedOf({ calls, outcomes, code = [], user = '', outcome = [] }: Flags): Wanted {
  if (calls && outcomes) throw usage('--calls and --outcomes exclude each other: leave both out to see both');
  if (calls && outcome.length > 0) throw usage('--outcome is about events, and --calls shows none');
  return {
    calls: outcomes !== true && outcome.length === 0,
    outcomes: calls ? [] : outcome.length === 0 ? OUTCOMES : outcome,
    ...{ answers: code, userId: user },
  };
}

function usage(sentence: string): CliError {
  return new CliError(EXIT.usage, sentence);
}

function addCode(text: string, earlier: readonly string[] = []): string[] {
  // As answers are written: 070402 would never match.
  if (!/^(?:0|[1-9]\d{0,5})$/.test(text) && !Object.hasOwn(FAULT_WORDS, text))
    throw new InvalidArgumentError(
      `It must be a number without zeros in front, or one of ${Object.keys(FAULT_WORDS).join(', ')}.`,
    );
  return [...earlier, text];
}

function readUser(text: string): string {
  // The feed takes an empty one for every user.
  if (text === '') throw new InvalidArgumentError('It must not be empty. Leave --user out to see all users.');
  return text;
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

function readTime(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,5})([smh])$/.exec(text) ?? [];
  const ms = Number(digits) * (UNITS_MS[unit] ?? 0);
  // A longer timer would fire at once.
  if (!(ms > 0 && ms < 2 ** 31)) throw new InvalidArgumentError('It must be a time such as 30s, 5m or 1h.');
  return ms;
}
