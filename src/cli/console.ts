import { hostname, userInfo } from 'node:os';
import { Command } from 'commander';
import { CallQueues } from '../calls/bullmq/queues.ts';
import { maskedView } from '../config/mask.ts';
import { requireForRedis } from '../config/requirements.ts';
import { createLinks } from '../console/access/links.ts';
import { openConsole } from '../console/server.ts';
import { createUserLookup } from '../http-intake/get-user.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { ListenError } from '../lifecycle/listen.ts';
import { createCachedRead } from '../lifecycle/wait.ts';
import { createStandardLog } from '../logging/log.ts';
import { readStatus } from '../ops/status.ts';
import { quotasOf } from '../pace/budget.ts';
import { loadForCommand, readTextFile, withRedis } from './context.ts';
import { CliError, EXIT } from './fail.ts';
import { aborted, exitCodeAfter } from './feed-connection.ts';
import { numberFrom } from './option.ts';
import { onInterrupt } from './terminal.ts';
import { askApi, askProblem } from './user/user.ts';

const HELP = `
Opens the console beside a running fleet: on this machine's loopback, until Ctrl-C. It prints a link that signs you in
once, within 10 minutes; your session ends with the command. Press Enter for another link.

A worker shows the same console for good when IMSYNC_CONSOLE_PORT and tokens are set (docs/console.md).

Examples:
  imsync console
  imsync console --port 9470
  ssh -L 9470:127.0.0.1:9470 worker-1 imsync console --port 9470`;

export function consoleCommand(): Command {
  return new Command('console')
    .description('open a page in the browser that shows the fleet, and acts on it')
    .option('--port <number>', 'port on 127.0.0.1; any free one by default', numberFrom(0, 65_535), 0)
    .addHelpText('after', HELP)
    .action(async ({ port }: { port: number }, self: Command) => {
      const loaded = loadForCommand(self);
      requireForRedis(loaded.config);
      // It listens on loopback whatever a worker's console is set to, and needs no tokens. It trusts no proxy: any other
      // user of this machine could claim to be one.
      const ownSettings = { host: '127.0.0.1', basePath: '', trustedProxies: [], ssoHeader: '' };
      const config = {
        ...loaded.config,
        console: { ...loaded.config.console, ...ownSettings },
      };
      const { log } = createStandardLog('warn', {}, false);
      const interruption = onInterrupt();
      await withRedis(self, async ({ redis, keys }) => {
        const quotas = quotasOf(config);
        const queues = new CallQueues(redis, keys, Object.keys(quotas) as ImportCommand[], () => undefined);
        const whyNot = askProblem(config);
        const lookup = createUserLookup({ redis, keys, whyNot: whyNot ?? 'it has not been set up' });
        if (whyNot === undefined)
          lookup.askThrough({
            ask: async ([userId = '']) => new Map([[userId, await askApi(config, redis, keys, userId)]]),
          });
        const links = createLinks(`${userName()}@${hostname()}`);
        const opened = await openConsole({
          ...{ config, port, redis, keys, links, log, readFile: readTextFile },
          version: self.parent?.version() ?? '',
          settings: maskedView(loaded),
          status: createCachedRead(
            () => readStatus({ redis, keys }, queues, config.app.sdkAppId, quotas),
            1_000,
          ),
          findUser: lookup.find,
        }).catch((error: unknown) => {
          throw error instanceof ListenError ? new CliError(EXIT.usage, error.message) : error;
        });
        const sayLink = (): void => {
          process.stdout.write(`${opened.url}/#token=${links.make()}\n`);
        };
        process.stderr.write('imsync: open this link; Ctrl-C ends the console, Enter makes another link\n');
        sayLink();
        if (process.stdin.isTTY) process.stdin.on('data', sayLink);
        await aborted(interruption.signal);
        process.stdin.off('data', sayLink).pause();
        await opened.close();
        await queues.close();
      }).finally(interruption.release);
      process.exitCode = exitCodeAfter(interruption);
    });
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'console';
  }
}
