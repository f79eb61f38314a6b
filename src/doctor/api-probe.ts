import { randomBytes } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { Answer } from '../im/answers.ts';
import { encodeCheck } from '../im/bodies.ts';
import { createImClient } from '../im/client.ts';
import { baseUrlsOf } from '../im/regions.ts';
import { type Verdict, verdictOf } from '../im/verdicts.ts';

/** One account_check and what came of it. */
export interface ApiProbe {
  readonly answer: Answer;
  readonly verdict: Verdict;
  readonly roundTripMs: number;
  /** The API's clock less ours, in ms, within a second or so; undefined when no answer told a time. */
  readonly clockAheadMs: number | undefined;
}

const CONNECT_MS = 5_000;
/** The Date header tells whole seconds: on average half of one has passed. */
const HALF_A_SECOND_MS = 500;

/** Asks after an account that does not exist, once connected and when `slot` has come: changes nothing. Never rejects. */
export async function probeApi(config: Config, userSig: string, slot: Promise<void>): Promise<ApiProbe> {
  const client = createImClient({
    baseUrl: apiAddress(config),
    sdkAppId: config.app.sdkAppId,
    adminId: config.app.adminId,
    userSig: () => userSig,
    callTimeoutMs: Math.min(config.api.callTimeoutMs, CONNECT_MS),
  });
  const call = client.prepare(
    'account_check',
    encodeCheck([`imsync-doctor-${randomBytes(8).toString('hex')}`]),
  );
  await Promise.all([call.connected, slot]);
  const startedMs = performance.now();
  const answer = await call.send();
  const roundTripMs = performance.now() - startedMs;
  const sentAtMs = Date.now() - roundTripMs / 2;
  client.close();
  const serverTimeMs = answer.kind === 'fault' ? undefined : answer.serverTimeMs;
  return {
    answer,
    verdict: verdictOf('account_check', answer),
    roundTripMs,
    clockAheadMs: serverTimeMs === undefined ? undefined : serverTimeMs + HALF_A_SECOND_MS - sentAtMs,
  };
}

/** The base URL as configured, by name or by region. */
export function apiAddress(config: Config): string {
  return config.api.baseUrl || baseUrlsOf(config.api.region).baseUrl;
}
