import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { CallQueues } from '../../calls/bullmq/queues.ts';
import type { ImportCommand } from '../../im/bodies.ts';
import { type FeedWatch, watchFeed } from '../../ops/feed/watch-feed.ts';
import { readStatus } from '../../ops/status.ts';
import { quotasOf } from '../../pace/budget.ts';
import { ownerTimeMs } from '../../redis/owner.ts';
import { redisAddress } from '../../redis/settings.ts';
import { aborted, exitCodeAfter, withFeedConnection } from '../feed-connection.ts';
import { onInterrupt } from '../terminal.ts';
import { Answers } from './answers.ts';
import { frameOf, type Size } from './frame.ts';
import { painted } from './line.ts';
import { Looks } from './looks.ts';
import { openScreen } from './screen.ts';

const PLAIN_WIDTH = 100;
/** Ages go on between two looks, and while Redis does not answer. */
const REDRAW_EVERY_MS = 1_000;
const CALLS_ONLY = { calls: true, outcomes: [], answers: [], userId: '' };

export function topCommand(): Command {
  return new Command('top')
    .description('show what imsync status says on one screen, with rates and the answers of the last minute')
    .option('--once', 'look twice, an interval apart, print one frame and end')
    .option('--interval <seconds>', 'seconds from one look to the next, 0.5 to 60; default 1', readInterval)
    .addHelpText(
      'after',
      `
q or Ctrl-C ends it. Where standard output is no terminal, it does what --once says.
Colors only repeat what the words say; NO_COLOR turns them off.
While it runs, workers tell it of their calls. That costs each of them up to ten Redis commands a second.`,
    )
    .action(async (flags: { once?: boolean; interval?: number }, command: Command) => {
      const { interval: intervalMs = 1_000 } = flags;
      await withFeedConnection(command, async ({ config, redis, keys, subscriber, whyLost }) => {
        const quotas = quotasOf(config);
        const commands = Object.keys(quotas) as ImportCommand[];
        const queues = new CallQueues(redis, keys, commands, () => undefined);
        const answers = new Answers();
        const onBatch = (batch: Parameters<Answers['add']>[0]): void => answers.add(batch, performance.now());
        let feed: FeedWatch | undefined;
        try {
          feed = await watchFeed({ subscriber, redis, keys, wanted: CALLS_ONLY, onBatch });
          const state = createState({
            ...{ answers, feed, whyLost },
            redisUrl: redisAddress(config),
            async read() {
              const status = await readStatus({ redis, keys }, queues, config.app.sdkAppId, quotas);
              return { status, redisMs: await ownerTimeMs(redis, keys) };
            },
          });
          await state.look();
          const canDraw = process.stdout.isTTY === true && process.env.TERM !== 'dumb';
          if (flags.once || !canDraw) await printOnce(state, intervalMs);
          else await runScreen(state, intervalMs);
        } finally {
          await feed?.close();
          await queues.close();
        }
      });
    });
}

type State = ReturnType<typeof createState>;

/** What the client says of a command while its connection is away: nothing of Redis. */
const UNCONNECTED = /Stream isn't writeable|Connection is closed|ECONN|EPIPE|max retries/;

/** What is known, and how it becomes a frame. */
function createState(options: {
  readonly answers: Answers;
  readonly feed: FeedWatch;
  readonly redisUrl: string;
  /** Why the connection is lost; '' while it stands. */
  readonly whyLost: () => string;
  readonly read: () => Promise<{ status: Awaited<ReturnType<typeof readStatus>>; redisMs: number }>;
}) {
  const { answers, feed, redisUrl, whyLost, read } = options;
  const looks = new Looks();
  let failure = '';
  return {
    /** Rejects when Redis does not answer; the next frames say so. */
    async look(): Promise<void> {
      try {
        const { status, redisMs } = await read();
        looks.add({ atMs: performance.now(), redisMs, status });
        failure = '';
      } catch (error) {
        const { message } = error as Error;
        failure = UNCONNECTED.test(message) ? 'it cannot be reached' : message;
        throw error;
      }
    },
    /** `patienceMs`: a look that is older says that no answer comes. */
    frame(size: Size, isColoured: boolean, patienceMs: number): string[] {
      const nowMs = performance.now();
      const isLate = nowMs - (looks.latest?.atMs ?? nowMs) > patienceMs;
      const trouble = whyLost() || failure || (isLate ? 'it is connected and silent' : '');
      const view = { redisUrl, looks, nowMs, trouble, senders: feed.senders() };
      const told = { answers: answers.rows(nowMs), leftOut: answers.leftOut(nowMs) };
      return painted(frameOf({ ...view, ...told }, size), size.width, isColoured);
    },
  };
}

/** Rates need two looks, and the answers some time to listen. */
async function printOnce(state: State, intervalMs: number): Promise<void> {
  await sleep(intervalMs);
  await state.look();
  const width = Number(process.env.COLUMNS) || process.stdout.columns || PLAIN_WIDTH;
  const lines = state.frame({ width, height: undefined }, false, Number.POSITIVE_INFINITY);
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Draws until q or a signal. A Redis that does not answer stops the looks and not the drawing. */
async function runScreen(state: State, intervalMs: number): Promise<void> {
  const interruption = onInterrupt();
  const quit = new AbortController();
  const isColoured = !process.env.NO_COLOR;
  const draw = (): void => screen.draw(state.frame(screen.size, isColoured, intervalMs + 2_000));
  const screen = openScreen({ onQuit: () => quit.abort(), onRedraw: () => draw() });
  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    // The frame says why there is no answer.
    await state.look().catch(() => undefined);
    isLooking = false;
    draw();
  };
  const timers = [setInterval(() => void look(), intervalMs), setInterval(draw, REDRAW_EVERY_MS)];
  try {
    draw();
    await aborted(AbortSignal.any([interruption.signal, quit.signal]));
  } finally {
    for (const timer of timers) clearInterval(timer);
    screen.close();
    interruption.release();
  }
  process.exitCode = exitCodeAfter(interruption);
}

function readInterval(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0.5 && seconds <= 60))
    throw new InvalidArgumentError('It must be a number of seconds, 0.5 to 60.');
  return seconds * 1_000;
}
