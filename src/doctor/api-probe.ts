import { randomBytes } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { ReadFile } from '../config/read-file.ts';
import type { Answer } from '../im/answers.ts';
import { encodeCheck } from '../im/bodies.ts';
import { hostsOf, openApi } from '../im/open-api.ts';
import { type Verdict, verdictOf } from '../im/verdicts.ts';

/** One account_check and what came of it. */
export interface ApiProbe {
  readonly answer: Answer;
  readonly verdict: Verdict;
  readonly roundTripMs: number;
  /**
   * The API's clock less ours, in ms, within a second or so. Undefined when the answer had no Date header.
   */
  readonly clockAheadMs: number | undefined;
}

const CONNECT_MS = 5_000;
/** Long enough for one call. */
const SIGNATURE_SECONDS = 600;
/** The Date header tells whole seconds: on average half of one has passed. */
const HALF_A_SECOND_MS = 500;

/**
 * Checks an account that does not exist, once connected and when `slot` has come. Changes nothing. Asks the
 * main host only: the finding is about the address that is configured. Never rejects.
 */
export async function probeApi(config: Config, readFile: ReadFile, slot: Promise<void>): Promise<ApiProbe> {
  const { client } = openApi(config, readFile, {
    hosts: { baseUrl: apiAddress(config) },
    callTimeoutMs: Math.min(config.api.callTimeoutMs, CONNECT_MS),
    signatureSeconds: SIGNATURE_SECONDS,
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
  return hostsOf(config).baseUrl;
}
