import type { Config, ReadFile, RegionName } from '../config/config.ts';
import { readSigningSecret } from '../config/secrets.ts';
import { type ChosenProxy, chooseProxy } from '../proxy/choose-proxy.ts';
import { createImClient } from './client.ts';
import type { HostSwitch } from './host-choice.ts';
import { createSigner } from './signer.ts';

/** Where the API is. Without a `backupUrl` there is no other host to go to. */
export interface Hosts {
  readonly baseUrl: string;
  readonly backupUrl?: string;
}

/**
 * The hosts of each region (API reference, multiaccount_import, 2025-04, and REST API overview). An SDKAppID
 * belongs to one region; the others answer 70016 or 70020.
 */
export const REGIONS: Readonly<Record<RegionName, Required<Hosts>>> = {
  china: region('console.tim.qq.com', 'adminapi.my-imcloud.com'),
  singapore: region('adminapisgp.im.qcloud.com', 'adminapisgp.my-imcloud.com'),
  seoul: region('adminapikr.im.qcloud.com', 'adminapikr.my-imcloud.com'),
  tokyo: region('adminapijpn.im.qcloud.com', 'adminapijpn.my-imcloud.com'),
  frankfurt: region('adminapiger.im.qcloud.com', 'adminapiger.my-imcloud.com'),
  'silicon-valley': region('adminapiusa.im.qcloud.com', 'adminapiusa.my-imcloud.com'),
  jakarta: region('adminapiidn.im.qcloud.com', 'adminapiidn.my-imcloud.com'),
  /** Only older documents list it. */
  mumbai: region('adminapiind.im.qcloud.com', 'adminapiind.my-imcloud.com'),
};

function region(host: string, backupHost: string): Required<Hosts> {
  return { baseUrl: `https://${host}`, backupUrl: `https://${backupHost}` };
}

/** The API as this process speaks to it, and what signs its calls. */
export type Api = ReturnType<typeof openApi>;

/** Longer than the longest import. A signature is renewed after half of its life. */
const SIGNATURE_LIFE_SECONDS = 7 * 86_400;

/** The hosts that the configuration leads to: an address of its own, or those of the region. */
export function hostsOf({ api }: Config): Hosts {
  return api.baseUrl === '' ? REGIONS[api.region] : { baseUrl: api.baseUrl };
}

/** The proxy in front of the main host; undefined if calls go out directly. */
export function proxyOf(config: Config, readFile: ReadFile): ChosenProxy | undefined {
  return chooseProxy(config, readFile, new URL(hostsOf(config).baseUrl));
}

/** Opens the API. Nothing is sent, and no secret read, before the first call. The caller closes `client`. */
export function openApi(
  config: Config,
  readFile: ReadFile,
  options: {
    /** Replaces the hosts of the configuration. */
    readonly hosts?: Hosts | undefined;
    readonly onSwitch?: (change: HostSwitch) => void;
    readonly callTimeoutMs?: number;
    readonly signatureSeconds?: number;
  } = {},
) {
  const signer = createSigner({
    ...config.app,
    readSecret: () => readSigningSecret(config, readFile),
    nowMs: Date.now,
    elapsedMs: () => performance.now(),
    expireSeconds: options.signatureSeconds ?? SIGNATURE_LIFE_SECONDS,
  });
  const client = createImClient({
    ...(options.hosts ?? hostsOf(config)),
    ...config.app,
    onSwitch: options.onSwitch,
    userSig: signer.current,
    callTimeoutMs: options.callTimeoutMs ?? config.api.callTimeoutMs,
    ...(config.api.caFile !== '' && { ca: readFile(config.api.caFile) }),
    proxyOf: (host) => chooseProxy(config, readFile, host),
  });
  return { client, ...signer };
}
