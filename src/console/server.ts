import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Config, type ReadFile, refuseOn } from '../config/config.ts';
import { isLoopback } from '../config/formats.ts';
import type { MaskedSetting } from '../config/mask.ts';
import { consoleTokenProblems } from '../config/requirements.ts';
import { readConsoleTokens } from '../config/secrets.ts';
import type { UserInput } from '../event/fields.ts';
import { listen } from '../lifecycle/listen.ts';
import { atMostEvery } from '../logging/line-limit.ts';
import type { Logger } from '../logging/log.ts';
import type { Status } from '../ops/status.ts';
import { UserCreatedProducer } from '../producer/producer.ts';
import type { AppRedis } from '../redis/keys.ts';
import { redisSettings } from '../redis/settings.ts';
import type { UserReport } from '../tasks/find-user.ts';
import { createAttempts } from './access/attempts.ts';
import type { Links } from './access/links.ts';
import { createCallerReader } from './access/origin.ts';
import type { AccessOptions } from './access/person.ts';
import { createSessions } from './access/sessions.ts';
import { createTokenBook, type Tokens } from './access/tokens.ts';
import { createApp } from './app.ts';
import { createPage } from './page.ts';
import { createRedriveRunner } from './redrive-runner.ts';
import { activityRoute } from './routes/activity.ts';
import type { RouteContext } from './routes/context.ts';
import { fleetRoutes } from './routes/fleet.ts';
import { letterRoutes } from './routes/letters.ts';
import { redriveRoutes } from './routes/redrives.ts';
import { sessionRoutes } from './routes/session.ts';
import { userRoutes } from './routes/users.ts';

/** Requests in hand get this long to finish. */
const CLOSE_MS = 3_000;
const LINE_EVERY_MS = 60_000;
const WORDS = {
  what: 'console',
  inUse: 'Give each worker a port of its own with IMSYNC_CONSOLE_PORT, or 0 for any free one.',
  hostVariable: 'IMSYNC_CONSOLE_HOST',
  portVariable: 'IMSYNC_CONSOLE_PORT',
};

export interface ConsoleOptions extends AppRedis {
  readonly config: Config;
  readonly port: number;
  readonly readFile: ReadFile;
  readonly version: string;
  /** The settings as `imsync config` shows them. */
  readonly settings: readonly MaskedSetting[];
  readonly status: () => Promise<Status>;
  /** Where a user is. Throws RefusedRequest of the HTTP intake. */
  readonly findUser: (userId: string) => Promise<UserReport>;
  /** `imsync console` sets it, which needs no tokens. */
  readonly links?: Links;
  readonly log: Logger;
}

/**
 * Opens the console of one process. `redis` is a connection that fails at once while Redis is away. Rejects
 * with ListenError, or with ConfigError when a token is too short.
 */
export async function openConsole(options: ConsoleOptions) {
  const { config, port, readFile, redis, links, log } = options;
  const { host, basePath, allowedHosts, trustedProxies, sessionMs, ssoHeader, ...more } = config.console;
  const tokens = createTokenBook(
    () => readTokens(config, readFile),
    (problem) => {
      if (problem === null) log.info('tokens of the console can be read again');
      else
        log.error(
          { reason: problem },
          'tokens of the console cannot be read; those read last count for a minute',
        );
    },
    links === undefined ? [] : [links.holder],
  );
  readTokens(config, readFile);
  const wrongTokenLine = atMostEvery(LINE_EVERY_MS);
  const access: AccessOptions = {
    tokens,
    sessions: createSessions(options, tokens, sessionMs),
    attempts: createAttempts(),
    showUsers: more.showUsers,
    basePath,
    onWrongToken: (address) =>
      wrongTokenLine((before) =>
        log.warn({ address, before }, 'somebody tried a token that the console does not know'),
      ),
    ssoHeader: ssoHeader.toLowerCase(),
    ssoOperators: more.ssoOperators,
  };
  const readCaller = createCallerReader(trustedProxies);
  const callerOf = ({ headers, raw }: Pick<FastifyRequest, 'headers' | 'raw'>) =>
    readCaller({ headers, remoteAddress: raw.socket.remoteAddress ?? '' });
  const producer = createLazyProducer(config, readFile);
  const context: RouteContext = { ...options, addUser: producer.add };
  const runner = createRedriveRunner(context);
  const stopping = new AbortController();
  const page = createPage(basePath);
  const app = createApp({
    ...{ access, allowedHosts, basePath, callerOf, page, redis, log },
    stopping: stopping.signal,
  });
  app.register(async (routes: FastifyInstance) => {
    sessionRoutes(routes, context, { access, links, callerOf });
    fleetRoutes(routes, context);
    activityRoute(routes, context);
    letterRoutes(routes, context);
    redriveRoutes(routes, context, runner);
    userRoutes(routes, context);
  });
  const url = await listen(app.server, { host, port }, WORDS, () => app.listen({ host, port }));
  log.info({ url: url + basePath, page: page.isBuilt ? 'built' : 'not built' }, 'console listens');
  if (!isLoopback(host)) {
    log.warn(
      { host },
      'the console can be reached from other machines and speaks plain HTTP: put something that speaks TLS before it',
    );
  }
  return {
    /** `http://host:port` with the port in use, and the base path. */
    url: url + basePath,
    /** Interrupts redrives, answers requests in hand, then closes. */
    async close(): Promise<void> {
      stopping.abort();
      const timer = setTimeout(() => app.server.closeAllConnections(), CLOSE_MS);
      app.server.closeIdleConnections();
      await Promise.all([runner.close(), app.close()]);
      clearTimeout(timer);
      await producer.close();
    },
  };
}

function readTokens(config: Config, readFile: ReadFile): Tokens {
  const { acting, viewing } = readConsoleTokens(config, readFile);
  refuseOn(consoleTokenProblems(acting, viewing));
  return { acting, viewing };
}

/** The producer has a connection of its own, and most consoles import nobody. */
function createLazyProducer(config: Config, readFile: ReadFile) {
  let producer: UserCreatedProducer | undefined;
  return {
    add(user: UserInput): Promise<string> {
      producer ??= new UserCreatedProducer({
        sdkAppId: config.app.sdkAppId,
        adminId: config.app.adminId,
        api: config.api.form,
        redis: redisSettings(config, readFile),
      });
      return producer.add(user);
    },
    close: async () => producer?.close(),
  };
}
