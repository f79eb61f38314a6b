import type { Config, ReadFile } from '../config/config.ts';
import { readSigningSecret } from '../config/secrets.ts';
import { createImClient, type ImClient } from '../im/client.ts';
import { baseUrlsOf } from '../im/regions.ts';
import { createSigner, createSigningClock } from '../im/signer.ts';
import type { Logger } from '../logging/log.ts';

/** The hosts of a region. */
export interface Hosts {
  readonly baseUrl: string;
  readonly backupUrl: string;
}

/** The API as this process speaks to it, and what signs for it. */
export interface Api {
  readonly client: ImClient;
  /** Reads the secret again. */
  signAnew(): void;
  /** The same, after an answer that doubts the time signed with; to a call sent then, on `performance.now()`. */
  signAnewInDoubt(sentAtMs: number): void;
  /** This machine's clock is so far ahead of Redis's. */
  clockIsAhead(ms: number): void;
}

const SIGNATURE_LIFE_SECONDS = 7 * 86_400;

export function openApi(config: Config, readFile: ReadFile, log: Logger, hosts: Hosts | undefined): Api {
  const signingClock = createSigningClock(Date.now, () => performance.now());
  const signer = createSigner({
    sdkAppId: config.app.sdkAppId,
    adminId: config.app.adminId,
    readSecret: () => readSigningSecret(config, readFile),
    nowMs: signingClock.nowMs,
    expireSeconds: SIGNATURE_LIFE_SECONDS,
  });
  const client = createImClient({
    ...(hosts ??
      (config.api.baseUrl === '' ? baseUrlsOf(config.api.region) : { baseUrl: config.api.baseUrl })),
    onSwitch: ({ from, to, why }) =>
      log.warn(
        { from: new URL(from).host, to: new URL(to).host },
        why === 'trial'
          ? "the region's main host is tried again"
          : 'the host gives no connections: calls go to the other host of the region',
      ),
    sdkAppId: config.app.sdkAppId,
    adminId: config.app.adminId,
    userSig: () => signer.current(),
    callTimeoutMs: config.api.callTimeoutMs,
  });
  return {
    client,
    signAnew: () => signer.renew(),
    signAnewInDoubt(sentAtMs) {
      if (signingClock.doubt(sentAtMs)) signer.renew();
    },
    clockIsAhead: (ms) => signingClock.isAhead(ms),
  };
}
