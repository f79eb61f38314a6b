import type { Config, ReadFile } from '../config/config.ts';
import { refuseOn } from '../config/config.ts';
import { isLoopback } from '../config/formats.ts';
import { shortTokenProblems } from '../config/requirements.ts';
import { readSecrets } from '../config/secrets.ts';
import type { Logger } from '../logging/log.ts';
import type { Heartbeat } from '../ops/heartbeat.ts';
import type { Ops } from '../ops/open-ops.ts';
import { UserCreatedProducer } from '../producer/producer.ts';
import type { MemoryWatermark } from '../redis/memory-watermark.ts';
import { redisSettings } from '../redis/settings.ts';
import { openapiDocument } from './openapi.ts';
import { createPostUsers } from './post-users.ts';
import { createIntakeLog } from './request-log.ts';
import { createIntakeMetrics } from './request-metrics.ts';
import { startIntakeServer } from './server.ts';
import { createTokenKeeper } from './tokens.ts';

/** The HTTP intake of one worker. */
export interface Intake {
  readonly url: string;
  /** Answers requests in hand, at once those that wait for outcomes, then closes. */
  close(): Promise<void>;
}

/** Requests in hand get this long to finish, or a third of the time to stop if that is less. */
const CLOSE_MS = 5_000;
/** Outcomes waited for at once. Those beyond are reported as pending at once. */
const MAX_WAITED_FOR = 100_000;

/** Rejects with ListenError when it cannot listen, with ConfigError when a token is too short. */
export async function openIntake(options: {
  readonly config: Config & { readonly intake: { readonly port: number } };
  readonly readFile: ReadFile;
  readonly version: string;
  readonly memory: MemoryWatermark;
  readonly heartbeat: Heartbeat;
  readonly registry: Ops['registry'];
  /** Where a user is. Throws RefusedRequest. */
  readonly findUser: (userId: string) => Promise<object>;
  readonly log: Logger;
}): Promise<Intake> {
  const { config, readFile, version, memory, heartbeat } = options;
  const readTokens = (): readonly string[] => readSecrets(config, readFile).intakeTokens;
  refuseOn(shortTokenProblems('The file of IMSYNC_INTAKE_TOKENS_FILE', readTokens()));
  const log = createIntakeLog(options.log);
  const metrics = createIntakeMetrics(options.registry);
  const producer = new UserCreatedProducer({
    sdkAppId: config.app.sdkAppId,
    adminId: config.app.adminId,
    api: config.api.form,
    redis: redisSettings(config, readFile),
    maxWaiting: MAX_WAITED_FOR,
  });
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const server = await startIntakeServer({
    host: config.intake.host,
    port: config.intake.port,
    tokens: createTokenKeeper(readTokens, (problem) => log.tokens(problem)),
    metrics,
    log,
    routes: {
      postUsers: createPostUsers({ sender: producer, memory, heartbeat, metrics, log, stopped }),
      getUser: options.findUser,
      openapi: openapiDocument(version),
    },
  }).catch(async (error: Error) => {
    await producer.close();
    throw error;
  });
  logListening(options.log, server.url, config.intake.host);
  return {
    url: server.url,
    async close() {
      stop();
      await server.close(Math.min(CLOSE_MS, config.shutdownTimeoutMs / 3));
      await producer.close();
    },
  };
}

function logListening(log: Logger, url: string, host: string): void {
  log.info({ url }, 'HTTP intake listens: POST /v1/users, GET /v1/users/{id}, /openapi.json');
  if (isLoopback(host)) return;
  log.warn(
    { host },
    'HTTP intake can be reached from other machines and speaks plain HTTP: put something that speaks TLS before it',
  );
}
